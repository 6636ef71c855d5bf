/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay CORPUS: gives a fuzz target every file of its corpus, then simple changes of each:
 * cut short at every length, every byte changed in a few ways, bytes left out and doubled. Large
 * files get as many changes at places chosen by a fixed seed; a quarter of it without DEFUPD_LONG
 * and sanitizers. TAP; an input that kills the program is named as it dies.
 */
#include "fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define INPUT_MAX (8U << 20)
#define WHOLE_MAX 400U   /* bytes of an input of which every place is changed */
#define CHANGES_MAX 400U /* of each kind, for larger ones */

/* Sanitizers end the process without a signal; they call this first. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static char now[512]; /* what is being tried */

static void tell(void)
{
    (void)!write(STDOUT_FILENO, "# died at ", 10);
    (void)!write(STDOUT_FILENO, now, strlen(now));
    (void)!write(STDOUT_FILENO, "\n", 1);
}

static void on_signal(int number)
{
    tell();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* From an exact allocation, so that a sanitizer sees a read of the byte past the end. */
static void give(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);

    FUZZ_CHECK(exact != NULL);
    if (size > 0)
        memcpy(exact, data, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

/* xorshift64: the same changes on every machine. */
static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void change_at(const char *name, uint8_t *data, size_t size, size_t at, uint64_t *seed)
{
    const uint8_t was = data[at];
    const uint8_t tries[] = { (uint8_t)(was ^ (1U << (next(seed) % 8))), (uint8_t)(was + 1), 0,
                              0xff, (uint8_t)next(seed) };
    uint8_t *other = malloc(size + 1);

    FUZZ_CHECK(other != NULL);
    (void)snprintf(now, sizeof now, "%s, the first %zu bytes", name, at);
    give(data, at);
    for (size_t i = 0; i < sizeof tries; i++) {
        (void)snprintf(now, sizeof now, "%s, byte %zu as 0x%02x", name, at, tries[i]);
        data[at] = tries[i];
        give(data, size);
    }
    data[at] = was;
    (void)snprintf(now, sizeof now, "%s, byte %zu left out", name, at);
    memcpy(other, data, at);
    memcpy(other + at, data + at + 1, size - at - 1);
    give(other, size - 1);
    (void)snprintf(now, sizeof now, "%s, byte %zu doubled", name, at);
    memcpy(other + at + 1, data + at, size - at);
    other[at] = was;
    give(other, size + 1);
    free(other);
}

static void change(const char *name, uint8_t *data, size_t size)
{
    const bool all = getenv("DEFUPD_LONG") != NULL || __sanitizer_set_death_callback != NULL;
    const unsigned share = all ? 1 : 4;
    uint64_t seed = 0x9e3779b97f4a7c15;

    if (size <= WHOLE_MAX / share) {
        for (size_t at = 0; at < size; at++)
            change_at(name, data, size, at, &seed);
        return;
    }
    for (unsigned i = 0; i < CHANGES_MAX / share; i++)
        change_at(name, data, size, (size_t)(next(&seed) % size), &seed);
}

static uint8_t *load(const char *dir, const char *name, size_t *size)
{
    char path[4096];
    uint8_t *data = malloc(INPUT_MAX);
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    file = fopen(path, "rb");
    if (data == NULL || file == NULL) {
        printf("Bail out! cannot read %s\n", path);
        exit(1);
    }
    *size = fread(data, 1, INPUT_MAX, file);
    (void)fclose(file);
    return data;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    static const int deaths[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM };
    struct dirent **entries = NULL;
    const int count = argc == 2 ? scandir(argv[1], &entries, visible, alphasort) : -1;

    for (size_t i = 0; i < sizeof deaths / sizeof deaths[0]; i++)
        (void)signal(deaths[i], on_signal);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(tell);
    printf("1..2\n");
    (void)fflush(stdout);
    if (count <= 0) {
        printf("not ok 1 - there_is_a_corpus\nnot ok 2 - there_is_something_to_change\n");
        return 1;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < count; i++) {
            size_t size;
            uint8_t *data = load(argv[1], entries[i]->d_name, &size);

            (void)snprintf(now, sizeof now, "%s", entries[i]->d_name);
            if (pass == 0)
                give(data, size);
            else
                change(entries[i]->d_name, data, size);
            free(data);
        }
        printf("ok %d - %s # %d inputs\n", pass + 1,
               pass == 0 ? "every_input_of_the_corpus" : "every_small_change_of_them", count);
        (void)fflush(stdout);
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return 0;
}
