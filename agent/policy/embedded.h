/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are part of the program; embed.py makes them at build time. */
#ifndef AG_POLICY_EMBEDDED_H
#define AG_POLICY_EMBEDDED_H

extern const unsigned char ag_embedded_schema[];
extern const unsigned long ag_embedded_schema_bytes;

/* The examples, *.xml.example. */
extern const unsigned char ag_embedded_policy[], ag_embedded_proxy[], ag_embedded_relays[],
    ag_embedded_relay[], ag_embedded_hooks[];
extern const unsigned long ag_embedded_policy_bytes, ag_embedded_proxy_bytes,
    ag_embedded_relays_bytes, ag_embedded_relay_bytes, ag_embedded_hooks_bytes;

#endif
