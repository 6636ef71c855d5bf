/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are part of the program; embed.py makes them at build time. */
#ifndef AG_POLICY_EMBEDDED_H
#define AG_POLICY_EMBEDDED_H

extern const unsigned char ag_embedded_schema[];
extern const unsigned long ag_embedded_schema_bytes;

#endif
