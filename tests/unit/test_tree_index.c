/* SPDX-License-Identifier: Apache-2.0 */
#include "t.h"
#include "tree/index.h"

static const unsigned char some[DU_SHA256_BYTES] = { 0xe3, 0xb0, 0xc4 };

static defupd_code seal_these(const char *const *paths, defupd_error *err)
{
    DU_AUTO_INDEX index = { 0 };

    for (; *paths != NULL; paths++)
        DU_TRY(du_index_add(&index, *paths, 1, some, false, err));
    return du_index_seal(&index, err);
}

static void paths_that_clash_on_some_file_system_are_refused(void)
{
    static const char *const bad[][6] = {
        { NULL },
        { "a", "a" },
        { "a", "A" },
        { "a", "a/b" },
        { "A", "a/b" },
        { "a", "a b", "a-b", "a/b" },
        { "dir/x", "Dir/y" },
        { "d/e/x", "d/E/y" },
        { "A/x/1", "A/y/2", "a/x/3" },
        { "x/sub/1", "x/sub-1", "X/other" },
    };
    static const char *const good[][6] = {
        { "a" },
        { "a b", "a-b", "a/b" },
        { "dir/x", "dir/y", "dirx" },
        { "a/b/c", "a/c/b", "b/a/c" },
        { "\xc3\xa9", "\xc3\x89" }, /* only A-Z is folded */
    };
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const defupd_code rc = seal_these(bad[i], &err);
        if (rc != DEFUPD_E_TREE_FORBIDDEN)
            printf("# row %zu\n", i);
        T_CHECK(rc == DEFUPD_E_TREE_FORBIDDEN);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        T_OK(seal_these(good[i], &err), &err);
}

static void an_index_goes_to_text_and_back_with_the_same_digest(void)
{
    defupd_error err = { 0 };
    DU_AUTO_INDEX index = { 0 }, again = { 0 };
    DU_AUTO_BUF text = DU_BUF(4096);
    unsigned char one[DU_SHA256_BYTES], two[DU_SHA256_BYTES];

    T_OK(du_index_add(&index, "b/with space", 0, some, true, &err), &err);
    T_OK(du_index_add(&index, "a", INT64_MAX, some, false, &err), &err);
    T_OK(du_index_seal(&index, &err), &err);
    T_OK(du_index_print(&index, &text, &err), &err);
    T_CHECK(strncmp(du_buf_text(&text), "e3b0c40000", 10) == 0);
    T_CHECK(strstr(du_buf_text(&text), " 9223372036854775807 - a\n") != NULL);
    T_CHECK(strstr(du_buf_text(&text), " 0 x b/with space\n") != NULL);
    T_OK(du_index_parse(&again, du_buf_bytes(&text), "it", DEFUPD_E_STORE_CORRUPT, &err), &err);
    du_index_digest(&index, one);
    du_index_digest(&again, two);
    T_CHECK(memcmp(one, two, sizeof one) == 0);
    T_CHECK(du_index_find(&again, "a") != NULL && du_index_find(&again, "b") == NULL);
    T_CHECK(du_index_find(&again, "b/with space")->exec);
}

static void every_damage_to_an_index_is_refused_or_means_another_tree(void)
{
    defupd_error err = { 0 };
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_BUF text = DU_BUF(4096);
    unsigned char want[DU_SHA256_BYTES];

    T_OK(du_index_add(&index, "a", 5, some, false, &err), &err);
    T_OK(du_index_add(&index, "b/c", 17, some, true, &err), &err);
    T_OK(du_index_seal(&index, &err), &err);
    du_index_digest(&index, want);
    T_OK(du_index_print(&index, &text, &err), &err);

    for (size_t i = 0; i < text.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            DU_AUTO_INDEX damaged = { 0 };
            unsigned char got[DU_SHA256_BYTES];

            text.data[i] ^= (unsigned char)(1 << bit);
            if (du_index_parse(&damaged, du_buf_bytes(&text), "it", DEFUPD_E_STORE_CORRUPT, &err) ==
                DEFUPD_OK) {
                du_index_digest(&damaged, got);
                T_CHECK(memcmp(got, want, sizeof got) != 0);
            }
            text.data[i] ^= (unsigned char)(1 << bit);
        }
    }
    for (size_t len = 0; len < text.len; len++) {
        DU_AUTO_INDEX cut = { 0 };
        const struct du_bytes bytes = { text.data, len };
        const defupd_code rc = du_index_parse(&cut, bytes, "it", DEFUPD_E_STORE_CORRUPT, &err);
        T_CHECK((rc == DEFUPD_OK) == (cut.count == 1 && text.data[len - 1] == '\n'));
    }
}

static void sizes_cannot_overflow(void)
{
    defupd_error err = { 0 };
    DU_AUTO_INDEX index = { 0 };

    T_OK(du_index_add(&index, "a", INT64_MAX, some, false, &err), &err);
    T_FAILS(du_index_add(&index, "b", 1, some, false, &err), DEFUPD_E_LIMIT, &err);
    T_FAILS(du_index_add(&index, "b", UINT64_MAX, some, false, &err), DEFUPD_E_LIMIT, &err);
    T_CHECK(index.count == 1);
}

int main(void)
{
    T_RUN(paths_that_clash_on_some_file_system_are_refused);
    T_RUN(an_index_goes_to_text_and_back_with_the_same_digest);
    T_RUN(every_damage_to_an_index_is_refused_or_means_another_tree);
    T_RUN(sizes_cannot_overflow);
    return T_DONE();
}
