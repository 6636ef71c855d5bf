/* SPDX-License-Identifier: Apache-2.0 */
/* A posture as a receipt: what is read of it, and what is refused. */
#include "t.h"
#include "publish/export.h"

static defupd_code parse(struct du_receipt *receipt, const char *text, defupd_error *err)
{
    const struct du_bytes bytes = { (const unsigned char *)text, strlen(text) };

    return du_receipt_parse(receipt, bytes, "p.json", err);
}

static void what_a_host_has_is_read(void)
{
    DU_AUTO_RECEIPT receipt = { 0 };
    const struct du_receipt_item *item;
    defupd_error err = { 0 };

    T_OK(parse(&receipt,
               "{\"agent_uuid\":\"x\",\"engines\":[{\"name\":\"scan\",\"definitions\":["
               "{\"name\":\"tetra\",\"version\":1003,\"state\":\"fresh\",\"lasterror\":0},"
               "{\"name\":\"ips\",\"version\":0,\"state\":\"never\",\"more\":[1.5,null]}]},"
               "{\"name\":\"b\",\"definitions\":["
               "{\"name\":\"yara\",\"version\":7,\"state\":\"quarantined\"},"
               "{\"name\":\"crs\",\"version\":9,\"state\":\"disabled\"},"
               "{\"name\":\"rot\",\"version\":9,\"state\":\"failing\",\"lasterror\":4294964790},"
               "{\"name\":\"far\",\"version\":9,\"lasterror\":4294965187}]}]}",
               &err),
         &err);
    T_CHECK(receipt.count == 6);
    item = du_receipt_find(&receipt, "tetra");
    T_CHECK(item != NULL && item->version == 1003 && !item->disabled && !item->picky &&
            !item->damaged);
    item = du_receipt_find(&receipt, "ips");
    T_CHECK(item != NULL && item->version == 0);
    item = du_receipt_find(&receipt, "yara");
    T_CHECK(item != NULL && item->picky);
    item = du_receipt_find(&receipt, "crs");
    T_CHECK(item != NULL && item->disabled);
    item = du_receipt_find(&receipt, "rot"); /* DEFUPD_E_DAMAGED */
    T_CHECK(item != NULL && item->damaged);
    item = du_receipt_find(&receipt, "far"); /* the network's failure is not the disk's */
    T_CHECK(item != NULL && !item->damaged);
    T_CHECK(du_receipt_find(&receipt, "alpha") == NULL);
}

static void a_host_without_definitions_is_one_too(void)
{
    DU_AUTO_RECEIPT receipt = { 0 };
    defupd_error err = { 0 };

    T_OK(parse(&receipt, "{\"engines\":[]}", &err), &err);
    T_CHECK(receipt.count == 0);
}

static void what_is_no_posture_is_refused(void)
{
#define ONE(definition) "{\"engines\":[{\"definitions\":[" definition "]}]}"
    static const char *const wrong[] = {
        "",
        "no JSON",
        "[]",
        "{}",
        "{\"engines\":{}}",
        "{\"engines\":[7]}",
        "{\"engines\":[{\"name\":\"a\"}]}",
        "{\"engines\":[{\"definitions\":7}]}",
        ONE("7"),
        ONE("{}"),
        ONE("{\"name\":\"a\"}"),
        ONE("{\"version\":1}"),
        ONE("{\"name\":7,\"version\":1}"),
        ONE("{\"name\":\"../a\",\"version\":1}"),
        ONE("{\"name\":\"root\",\"version\":1}"),
        ONE("{\"name\":\"\",\"version\":1}"),
        ONE("{\"name\":\"a\",\"version\":\"1\"}"),
        ONE("{\"name\":\"a\",\"version\":-1}"),
        ONE("{\"name\":\"a\",\"version\":1.5}"),
        ONE("{\"name\":\"a\",\"version\":9007199254740993}"),
        ONE("{\"name\":\"a\",\"version\":99999999999999999999999}"),
        ONE("{\"name\":\"a\",\"version\":1},{\"name\":\"a\",\"version\":2}"),
        ONE("{\"name\":\"a\",\"name\":\"b\",\"version\":1}"),
        "{\"engines\":[]} {}",
        "{\"engines\":[],\"engines\":[]}",
        "\xff\xfe{\"engines\":[]}",
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        DU_AUTO_RECEIPT receipt = { 0 };
        defupd_error err = { 0 };

        T_FAILS(parse(&receipt, wrong[i], &err), DEFUPD_E_RECEIPT, &err);
        T_CHECK(strncmp(err.message, "p.json", 6) == 0);
        T_CHECK(receipt.item == NULL && receipt.count == 0);
    }
}

/* `count` definitions with names of their own. */
static char *many(int count)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        abort();
    (void)fputs("{\"engines\":[{\"definitions\":[", out);
    for (int i = 0; i < count; i++)
        (void)fprintf(out, "%s{\"name\":\"c%d\",\"version\":%d}", i > 0 ? "," : "", i, i);
    (void)fputs("]}]}", out);
    T_CHECK(fclose(out) == 0);
    return text;
}

static void the_number_of_definitions_is_bounded(void)
{
    DU_AUTO_FREE char *most = many(DU_RECEIPT_ITEMS_MAX);
    DU_AUTO_FREE char *more = many(DU_RECEIPT_ITEMS_MAX + 1);
    DU_AUTO_RECEIPT receipt = { 0 }, none = { 0 };
    defupd_error err = { 0 };

    T_OK(parse(&receipt, most, &err), &err);
    T_CHECK(receipt.count == DU_RECEIPT_ITEMS_MAX);
    T_FAILS(parse(&none, more, &err), DEFUPD_E_RECEIPT, &err);
    T_CHECK(none.item == NULL);
}

static void depth_is_bounded(void)
{
    enum { DEPTH = 100000 };
    DU_AUTO_FREE char *deep = malloc(2 * DEPTH + 32);
    DU_AUTO_RECEIPT receipt = { 0 };
    defupd_error err = { 0 };

    if (deep == NULL)
        abort();
    memcpy(deep, "{\"engines\":", 11);
    memset(deep + 11, '[', DEPTH);
    memset(deep + 11 + DEPTH, ']', DEPTH);
    memcpy(deep + 11 + 2 * DEPTH, "}", 2);
    T_FAILS(parse(&receipt, deep, &err), DEFUPD_E_RECEIPT, &err);
}

int main(void)
{
    T_RUN(what_a_host_has_is_read);
    T_RUN(a_host_without_definitions_is_one_too);
    T_RUN(what_is_no_posture_is_refused);
    T_RUN(the_number_of_definitions_is_bounded);
    T_RUN(depth_is_bounded);
    return T_DONE();
}
