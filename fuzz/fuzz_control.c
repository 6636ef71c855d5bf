/* SPDX-License-Identifier: Apache-2.0 */
/* What the service reads: lines of clients and workers, the compiled policy, its own state. The
 * first byte chooses. What parses must come back the same from what it is written as. */
#include "fuzz.h"

#include <string.h>

#include "service/service.h"

void ag_log(int priority, const char *format, ...)
{
    (void)priority;
    (void)format;
}

static void request(char *line)
{
    char *words[AG_WORDS], *again[AG_WORDS];
    const int count = ag_split(line, words, AG_WORDS);
    struct ag_out out = { .max = 1u << 16 };
    struct ag_ask ask, back;

    if (count < 2 || ag_ask_parse(&ask, words, (size_t)count) != NULL) {
        if (count >= 2)
            ag_ask_free(&ask);
        return;
    }
    FUZZ_CHECK(ag_ask_known(ask.command));
    FUZZ_CHECK(!ag_ask_is_harmless(&ask) || !ag_ask_covers(&ask, &ask) || ask.count <= AG_WORDS);
    ag_ask_print(&out, &ask);
    if (!out.failed) {
        ag_out_add(&out, "", 1);
        FUZZ_CHECK(strncmp(out.bytes, "run ", 4) == 0);
        out.bytes[out.used - 2] = '\0'; /* the line's end */
        FUZZ_CHECK(ag_split(out.bytes + 4, again, AG_WORDS) == count);
        FUZZ_CHECK(ag_ask_parse(&back, again, (size_t)count) == NULL);
        FUZZ_CHECK(strcmp(back.command, ask.command) == 0 && back.flags == ask.flags &&
                   back.count == ask.count);
        for (size_t i = 0; i < ask.count; i++)
            FUZZ_CHECK(strcmp(back.words[i], ask.words[i]) == 0 && ask.words[i][0] != '-');
        ag_ask_free(&back);
    }
    ag_out_free(&out);
    ag_ask_free(&ask);
}

static void lines(const uint8_t *data, size_t size)
{
    struct ag_lines in = { .used = size < AG_LINE ? size : AG_LINE };
    size_t before = 0;
    char *line;

    if (size > 0)
        memcpy(in.bytes, data, in.used);
    while ((line = ag_lines_next(&in)) != NULL) {
        FUZZ_CHECK(in.taken > before && in.taken <= in.used && strchr(line, '\n') == NULL);
        before = in.taken;
        request(line);
    }
}

static void config(char *text)
{
    char why[320] = "";
    struct ag_config *config = ag_config_parse(text, why, sizeof why);

    if (config == NULL) {
        FUZZ_CHECK(why[0] != '\0');
        return;
    }
    FUZZ_CHECK(config->schedule.window_count <= AG_WINDOWS);
    FUZZ_CHECK(config->schedule.interval == 0 ? config->schedule.slot == 0
                                              : config->schedule.slot < config->schedule.interval);
    for (size_t i = 0; i < config->hook_count; i++)
        FUZZ_CHECK(ag_hook_name(config->hooks[i].kind) != NULL &&
                   config->hooks[i].argv[0][0] == '/');
    ag_config_drop(config);
}

static void state(char *text)
{
    struct ag_schedule_state read, back;
    char paused[1024] = "", again[1024] = "";
    struct ag_out out = { .max = 8192 };

    if (!ag_state_parse(&read, paused, text))
        return;
    ag_state_print(&read, paused, &out);
    ag_out_add(&out, "", 1);
    FUZZ_CHECK(!out.failed && ag_state_parse(&back, again, out.bytes));
    FUZZ_CHECK(back.failures == read.failures && back.retry == read.retry &&
               back.polled.boot == read.polled.boot && strcmp(paused, again) == 0);
    ag_out_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    FUZZ_CHECK(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (size > 0 && data[0] == 'c')
        config(text + 1);
    else if (size > 0 && data[0] == 's')
        state(text + 1);
    else if (size > 0)
        lines(data + 1, size - 1);
    free(text);
    return 0;
}
