/* SPDX-License-Identifier: Apache-2.0 */
/* What the relay's server is told, and what it tells. */
#include <sys/stat.h>

#include "policy/compile.h"
#include "relay/relay.h"
#include "t.h"

static struct ag_policy *policy;

static void read_policy(const char *sections)
{
    struct ag_findings findings = { 0 };
    defupd_error err = { 0 };
    char text[2048];

    policy = calloc(1, sizeof *policy);
    (void)snprintf(text, sizeof text, "<policy format=\"1\">%s</policy>", sections);
    T_OK(ag_policy_read(policy, "policy.xml", text, strlen(text), &findings, &err), &err);
    ag_findings_free(&findings);
}

static void drop_policy(void)
{
    ag_policy_free(policy);
    policy = NULL;
}

static void what_policy_says_is_what_the_server_gets(void)
{
    struct ag_relay_settings settings;

    ag_relay_settings(&settings, NULL);
    T_CHECK(!settings.enabled && !settings.cache && settings.listen[0] == NULL);
    T_CHECK(settings.connections == 1000 && settings.per_client == 256);
    T_CHECK(settings.requests_per_s == 0 && settings.bytes_per_s == 0);
    read_policy("<relay><mode>cache</mode><listen>127.0.0.1:80</listen><listen>[::1]:81</listen>"
                "<allow>10.0.0.0/8</allow><trusted-proxy>127.0.0.1</trusted-proxy>"
                "<connections>7</connections><connections-per-client>0</connections-per-client>"
                "<requests-per-second>5</requests-per-second><bandwidth>1M</bandwidth></relay>");
    ag_relay_settings(&settings, policy);
    T_CHECK(settings.enabled && settings.cache);
    T_SAME(settings.listen[0], "127.0.0.1:80");
    T_SAME(settings.listen[1], "[::1]:81");
    T_CHECK(settings.listen[2] == NULL);
    T_SAME(settings.allow[0], "10.0.0.0/8");
    T_SAME(settings.forwards[0], "127.0.0.1");
    T_CHECK(settings.connections == 7 && settings.per_client == 0);
    T_CHECK(settings.requests_per_s == 5 && settings.bytes_per_s == 1 << 20);
    drop_policy();
    read_policy("<relay><enabled>no</enabled></relay>");
    ag_relay_settings(&settings, policy);
    T_CHECK(!settings.enabled);
    drop_policy();
    read_policy("<relay/>");
    ag_relay_settings(&settings, policy);
    T_CHECK(settings.enabled && !settings.cache);
    drop_policy();
}

static uint64_t sum_of(const char *sections)
{
    uint64_t sum;

    read_policy(sections);
    sum = ag_relay_settings_sum(policy);
    drop_policy();
    return sum;
}

static void the_number_changes_with_what_the_server_reads(void)
{
    const uint64_t mirror = sum_of("<relay><listen>127.0.0.1:80</listen></relay>");
    const uint64_t cache = sum_of("<relay><mode>cache</mode></relay>");

    T_CHECK(sum_of("") == 0 && mirror != 0);
    T_CHECK(sum_of("<relay><listen>127.0.0.1:80</listen></relay><retention/>") == mirror);
    T_CHECK(sum_of("<relay><listen>127.0.0.1:81</listen></relay>") != mirror);
    T_CHECK(sum_of("<relay><listen>127.0.0.1:80</listen><bandwidth>1M</bandwidth></relay>") !=
            mirror);
    T_CHECK(sum_of("<relay><allow>127.0.0.1</allow></relay>") !=
            sum_of("<relay><trusted-proxy>127.0.0.1</trusted-proxy></relay>"));
    /* Who fetches has to know of other sources. */
    T_CHECK(sum_of("<relay><mode>cache</mode></relay>"
                   "<sources><server><url>http://x/</url></server></sources>") != cache);
}

static void the_service_is_told_of_a_relay_by_one_line(void)
{
    char *text = NULL, line[64];
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    read_policy("<relay/>");
    (void)snprintf(line, sizeof line, "\nrelay mirror %016llx\n",
                   (unsigned long long)ag_relay_settings_sum(policy));
    ag_compile_print(out, policy);
    drop_policy();
    (void)fclose(out);
    T_CHECK(strstr(text, line) != NULL);
    free(text);
    out = open_memstream(&text, &size);
    ag_compile_print(out, NULL);
    (void)fclose(out);
    T_CHECK(strstr(text, "relay") == NULL);
    free(text);
}

static struct ag_served some(void)
{
    struct ag_served served = { .since = 1795000000, .written = 1795000060, .pid = 4711 };

    served.figures = (struct du_serve_figures){ .requests = UINT64_MAX,
                                                .whole = 1,
                                                .part = 2,
                                                .unchanged = 3,
                                                .missing = 4,
                                                .limited = 5,
                                                .refused = 6,
                                                .connections = 7,
                                                .turned_away = 8,
                                                .cut = 9,
                                                .bytes = UINT64_C(1) << 60,
                                                .hits = 10,
                                                .misses = 11,
                                                .unfetched = 12,
                                                .open = UINT32_MAX,
                                                .clients = 13 };
    return served;
}

static const char *here(void)
{
    static char path[1024];

    T_CHECK(getcwd(path, sizeof path) != NULL);
    (void)mkdir("relay", 0755);
    return path;
}

static void figures_come_back_as_they_were_written(void)
{
    const struct ag_served served = some();
    struct ag_served back;
    defupd_error err = { 0 };

    T_OK(ag_served_write(here(), &served, &err), &err);
    T_OK(ag_served_read(&back, here(), &err), &err);
    T_CHECK(memcmp(&back, &served, sizeof back) == 0);
    (void)remove("relay/served");
    T_OK(ag_served_read(&back, here(), &err), &err);
    T_CHECK(back.since == 0 && back.figures.requests == 0);
    T_OK(ag_served_read(&back, "/nowhere", &err), &err);
    T_FAILS(ag_served_write("/nowhere", &served, &err), DEFUPD_E_IO, &err);
}

/* Every bit turned, every length: never other figures than were written. */
static void damaged_figures_are_none(void)
{
    const struct ag_served served = some();
    struct ag_served back;
    defupd_error err = { 0 };
    char bytes[4096];
    size_t count;
    FILE *file;

    T_OK(ag_served_write(here(), &served, &err), &err);
    file = fopen("relay/served", "r");
    count = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    for (size_t i = 0; i < 2 * count; i++) {
        const char kept = bytes[i / 2];
        const size_t length = i % 2 == 0 ? count : i / 2;

        if (i % 2 == 0)
            bytes[i / 2] = (char)(bytes[i / 2] ^ 1 << i / 2 % 8);
        file = fopen("relay/served", "w");
        T_CHECK(fwrite(bytes, 1, length, file) == length && fclose(file) == 0);
        T_FAILS(ag_served_read(&back, here(), &err), DEFUPD_E_STORE_CORRUPT, &err);
        T_CHECK(back.since == 0);
        bytes[i / 2] = kept;
    }
    file = fopen("relay/served", "w");
    for (int i = 0; i < 5000; i++)
        (void)fputc('x', file);
    (void)fclose(file);
    T_FAILS(ag_served_read(&back, here(), &err), DEFUPD_E_IO, &err);
}

int main(void)
{
    T_RUN(what_policy_says_is_what_the_server_gets);
    T_RUN(the_number_changes_with_what_the_server_reads);
    T_RUN(the_service_is_told_of_a_relay_by_one_line);
    T_RUN(figures_come_back_as_they_were_written);
    T_RUN(damaged_figures_are_none);
    return T_DONE();
}
