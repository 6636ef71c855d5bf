/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target is one file, fuzz_NAME.c, that defines this function, with inputs that are worth
 * keeping in corpus_NAME/ and, where it helps, words of the format in NAME.dict. meson.build finds
 * it by its name and makes of it a test that replays the corpus, or a libFuzzer program.
 *
 * A target calls one parser of foreign bytes and checks what must hold of every answer. It keeps no
 * state from one input to the next, writes nothing outside its own temporary directory, and returns
 * 0.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold; unlike assert() never compiled away. */
#define FUZZ_CHECK(cond)                                                               \
    do {                                                                               \
        if (!(cond)) {                                                                 \
            (void)fprintf(stderr, "%s:%d: expected: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                                   \
        }                                                                              \
    } while (0)

#endif
