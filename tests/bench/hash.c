/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SHA-256 costs by each way there is: MB/s by size of the pieces, and digests of many small
 * files' worth of bytes. Best of ROUNDS, in processor time of the thread, so that a busy machine
 * shows the same figures; the kernel's own work counts as the thread's.
 *
 *     build/tests/bench_hash [MB]
 */
#include <errno.h>
#include <linux/if_alg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <mbedtls/sha256.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "crypto/crypto.h"
#include "crypto/mbed.h"

#define ROUNDS 5
#define SMALL_FILES 100000
#define SMALL_BYTES 1000
#define LARGEST (1024U * 1024)

static unsigned char pattern[LARGEST];

/* Hash `pieces` times the first `bytes` bytes of the pattern; false when this machine cannot. */
typedef bool (*way_fn)(size_t bytes, size_t pieces, unsigned char out[DU_SHA256_BYTES]);

static bool by_door(size_t bytes, size_t pieces, unsigned char out[DU_SHA256_BYTES])
{
    struct du_hash hash;

    du_hash_init(&hash, DU_SHA256);
    for (size_t i = 0; i < pieces; i++)
        du_hash_update(&hash, pattern, bytes);
    du_hash_final(&hash, out);
    return true;
}

static bool by_mbedtls(size_t bytes, size_t pieces, unsigned char out[DU_SHA256_BYTES])
{
    mbedtls_sha256_context hash;
    bool good;

    mbedtls_sha256_init(&hash);
    good = du_mbed_sha256_starts(&hash, 0) == 0;
    for (size_t i = 0; i < pieces && good; i++)
        good = du_mbed_sha256_update(&hash, pattern, bytes) == 0;
    good = good && du_mbed_sha256_finish(&hash, out) == 0;
    mbedtls_sha256_free(&hash);
    return good;
}

static bool by_libcrypto(size_t bytes, size_t pieces, unsigned char out[DU_SHA256_BYTES])
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool good = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; i < pieces && good; i++)
        good = EVP_DigestUpdate(hash, pattern, bytes) == 1;
    good = good && EVP_DigestFinal_ex(hash, out, NULL) == 1;
    EVP_MD_CTX_free(hash);
    return good;
}

static bool by_libsodium(size_t bytes, size_t pieces, unsigned char out[DU_SHA256_BYTES])
{
    crypto_hash_sha256_state hash;

    (void)crypto_hash_sha256_init(&hash);
    for (size_t i = 0; i < pieces; i++)
        (void)crypto_hash_sha256_update(&hash, pattern, bytes);
    return crypto_hash_sha256_final(&hash, out) == 0;
}

static bool by_kernel(size_t bytes, size_t pieces, unsigned char out[DU_SHA256_BYTES])
{
    const struct sockaddr_alg name = { .salg_family = AF_ALG,
                                       .salg_type = "hash",
                                       .salg_name = "sha256" };
    const int door = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int hash = -1;
    bool good = door >= 0 && bind(door, (const struct sockaddr *)&name, sizeof name) == 0;

    if (good)
        hash = accept4(door, NULL, NULL, SOCK_CLOEXEC);
    good = good && hash >= 0;
    for (size_t i = 0; i < pieces && good; i++)
        good = send(hash, pattern, bytes, MSG_MORE) == (ssize_t)bytes;
    good = good && recv(hash, out, DU_SHA256_BYTES, 0) == DU_SHA256_BYTES;
    (void)close(hash);
    (void)close(door);
    return good;
}

static const struct way {
    const char *name;
    way_fn run;
} ways[] = {
    { "defupd", by_door },         { "mbedTLS", by_mbedtls }, { "libcrypto", by_libcrypto },
    { "libsodium", by_libsodium }, { "AF_ALG", by_kernel },
};
#define WAYS (sizeof ways / sizeof ways[0])

static double now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Seconds for `digests` digests of so many pieces; 0 when this machine cannot. */
static double best_of(const struct way *way, size_t digests, size_t bytes, size_t pieces)
{
    double best = 0;

    for (int round = 0; round < ROUNDS; round++) {
        const double start = now_s();
        for (size_t i = 0; i < digests; i++) {
            unsigned char want[DU_SHA256_BYTES], got[DU_SHA256_BYTES];
            if (!way->run(bytes, pieces, got))
                return 0;
            if (i == 0 && round == 0 && by_mbedtls(bytes, pieces, want) &&
                memcmp(want, got, sizeof want) != 0) {
                (void)fprintf(stderr, "%s: wrong digest\n", way->name);
                exit(1);
            }
        }
        const double took = now_s() - start;
        if (round > 0 && (best == 0 || took < best)) /* the first also sets things up */
            best = took;
    }
    return best;
}

/* A line of the table: `amount` for each second, or the other way round. */
static void print_row(const char *label, const double seconds[WAYS], double amount, bool each)
{
    printf("%-22s", label);
    for (size_t i = 0; i < WAYS; i++) {
        if (seconds[i] > 0)
            printf("%12.*f", each ? 2 : 0, each ? seconds[i] / amount : amount / seconds[i]);
        else
            printf("%12s", "none here");
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    const size_t megabytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 32;
    static const size_t sizes[] = { 4096, 16384, 65536, 262144, LARGEST };
    double seconds[WAYS];
    char versions[128];

    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (unsigned char)(i * 2654435761U >> 13);
    du_crypto_versions(versions, sizeof versions);
    printf("SHA-256, MB/s, best of %d in processor time (defupd here: %s)\n%-22s", ROUNDS, versions,
           "pieces of");
    for (size_t i = 0; i < WAYS; i++)
        printf("%12s", ways[i].name);
    printf("\n");
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const size_t pieces = megabytes * 1000000 / sizes[s];
        char label[32];
        (void)snprintf(label, sizeof label, "%zu KiB", sizes[s] / 1024);
        for (size_t i = 0; i < WAYS; i++)
            seconds[i] = best_of(&ways[i], 1, sizes[s], pieces);
        print_row(label, seconds, (double)(pieces * sizes[s]) / 1e6, false);
    }
    for (size_t i = 0; i < WAYS; i++)
        seconds[i] = best_of(&ways[i], SMALL_FILES, SMALL_BYTES, 1);
    print_row("100,000 x 1 KB", seconds, SMALL_FILES * (double)SMALL_BYTES / 1e6, false);
    print_row("  microseconds each", seconds, SMALL_FILES / 1e6, true);
    return 0;
}
