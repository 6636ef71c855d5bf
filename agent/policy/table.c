/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/table.h"

#include <string.h>

#define MINUTE UINT64_C(60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)
#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

#define MANY AG_SET_MANY
#define NEEDED AG_SET_NEEDED
#define KEY AG_SET_KEY
#define LATER AG_SET_UNSUPPORTED
#define FILE_ AG_SET_FILE
#define SECRET (AG_SET_FILE | AG_SET_SECRET)

/* Rows by what they need: a group, a number with limits, another single value. */
#define GROUP(path, flags, most, text)                      \
    {                                                       \
        path, AG_GROUP, flags, most, 0, 0, NULL, NULL, text \
    }
#define NUMBER(path, type, flags, min, max, standard, text)  \
    {                                                        \
        path, type, flags, 0, min, max, standard, NULL, text \
    }
#define VALUE(path, type, flags, standard, text)         \
    {                                                    \
        path, type, flags, 0, 0, 0, standard, NULL, text \
    }
#define LIST(path, type, flags, most, text)                      \
    {                                                            \
        path, type, (flags) | MANY, most, 0, 0, NULL, NULL, text \
    }
#define WORDS(path, flags, standard, words, text)            \
    {                                                        \
        path, AG_WORD, flags, 0, 0, 0, standard, words, text \
    }

#define METHODS "password basic digest ntlm negotiate"
#define REVOCATION "off best-effort required"

/* The way to a source, where it differs from what the sections proxy and tls say. */
#define WAY(group)                                                                                \
    VALUE(group "/auth-file", AG_PATH, SECRET, NULL,                                              \
          "File with credentials for the host, one line USER:PASSWORD."),                         \
        VALUE(group "/proxy", AG_PROXY, 0, NULL,                                                  \
              "Proxy on the way there, instead of the common "                                    \
              "one."),                                                                            \
        VALUE(group "/proxy-auth-file", AG_PATH, SECRET, NULL,                                    \
              "File with that proxy's credentials."),                                             \
        WORDS(group "/proxy-method", 0, "password", METHODS, "How to log in at that proxy."),     \
        LIST(group "/bypass", AG_TEXT, 0, 64,                                                     \
             "Host, domain or network that is asked without that proxy."),                        \
        VALUE(group "/ca-file", AG_PATH, FILE_, NULL, "Certificate authorities to trust there."), \
        LIST(group "/pinned-key", AG_TEXT, 0, 8, "Public key that is right there."),              \
        VALUE(group "/client-certificate", AG_PATH, FILE_, NULL,                                  \
              "Client certificate to show there."),                                               \
        VALUE(group "/client-key", AG_PATH, SECRET, NULL, "Its private key."),                    \
        VALUE(group "/crl-file", AG_PATH, 0, NULL, "Revocation lists of the authorities there."), \
        WORDS(group "/revocation", 0, NULL, REVOCATION,                                           \
              "What to do about revoked certificates there.")

#define HOOK(kind, when)                                                                           \
    GROUP("hooks/" kind, MANY, 16, when),                                                          \
        VALUE("hooks/" kind "/command", AG_PATH, NEEDED, NULL,                                     \
              "Program to start, without a shell."),                                               \
        LIST("hooks/" kind "/argument", AG_TEXT, 0, 64, "One argument, verbatim; in this order."), \
        VALUE("hooks/" kind "/user", AG_ACCOUNT, 0, "nobody", "Who the program runs as."),         \
        NUMBER("hooks/" kind "/timeout", AG_DURATION, 0, 1, HOUR, "PT1M",                          \
               "The program is ended after that."),                                                \
        NUMBER("hooks/" kind "/memory", AG_SIZE, 0, MIB, TIB, "256M",                              \
               "Most memory that the program may have.")

const struct ag_setting ag_settings[] = {
    GROUP("schedule", 0, 0, "When to look for something new."),
    VALUE("schedule/enabled", AG_BOOL, 0, "yes", "no: updates come by order alone."),
    NUMBER("schedule/interval", AG_DURATION, 0, MINUTE, 30 * DAY, "PT2H",
           "Time between two polls. Each host has its own slot in it."),
    NUMBER("schedule/initial-delay", AG_DURATION, 0, 0, DAY, "PT1M",
           "Time between the agent's start and its first poll."),
    GROUP("schedule/window", MANY, 64,
          "When scheduled polls are allowed, local time; without any, always. One that ends before "
          "it begins goes past midnight."),
    VALUE("schedule/window/@days", AG_DAYS, 0, "mon,tue,wed,thu,fri,sat,sun",
          "Days on which the window begins."),
    NUMBER("schedule/window/@from", AG_CLOCK, 0, 0, 24 * 60 - 1, "00:00", "Its beginning."),
    NUMBER("schedule/window/@to", AG_CLOCK, 0, 0, 24 * 60, "24:00", "Its end."),
    VALUE("schedule/run-missed", AG_BOOL, 0, "yes",
          "Catch up on a poll that was missed while the machine was off or asleep."),
    GROUP("schedule/back-off", 0, 0, "Waiting after failures: doubled each time, drawn by lot."),
    NUMBER("schedule/back-off/@first", AG_DURATION, 0, 1, DAY, "PT1M", "After the first failure."),
    NUMBER("schedule/back-off/@max", AG_DURATION, 0, 1, 30 * DAY, "PT2H", "Never longer."),
    NUMBER("schedule/verify", AG_DURATION, 0, 0, YEAR, "P7D",
           "How often every installed byte is compared with what was signed, and repaired. PT0S: "
           "never."),
    NUMBER("schedule/run-timeout", AG_DURATION, 0, 0, 30 * DAY, "PT12H",
           "A run is ended after that; what it has downloaded is kept. PT0S: never."),

    GROUP("sources", 0, 0, "Where the repository is read: groups of relays, then servers."),
    GROUP("sources/relays", MANY, 16, "Relays that are equally good: asked in random order."),
    NUMBER("sources/relays/attempts", AG_COUNT, 0, 1, 100, "3",
           "Attempts at each relay, and each file. A cut after progress does not count."),
    NUMBER("sources/relays/offline-grace", AG_DURATION, 0, 0, 90 * DAY, "PT0S",
           "How long after their expiry timestamp and snapshot are still taken from here."),
    LIST("sources/relays/relay", AG_URL, NEEDED, 64, "Base URL of a relay."),
    WAY("sources/relays"),
    VALUE("sources/fallback-to-servers", AG_BOOL, 0, "yes",
          "Ask the servers when no relay will do. Without relays, they are asked in any case."),
    NUMBER("sources/import-grace", AG_DURATION, 0, 0, YEAR, "P14D",
           "How long after their expiry timestamp and snapshot are still taken from what 'defupd "
           "import' is given, unless its --grace says otherwise."),
    GROUP("sources/server", MANY, 32, "A server; servers are asked in this order."),
    VALUE("sources/server/url", AG_URL, NEEDED, NULL, "Base URL of the repository."),
    NUMBER("sources/server/offline-grace", AG_DURATION, 0, 0, 90 * DAY, "PT0S",
           "How long after their expiry timestamp and snapshot are still taken from here."),
    VALUE("sources/server/objects", AG_URL, 0, NULL, "Base URL of objects, if another."),
    LIST("sources/server/address", AG_ADDRESS, 0, 16, "Address to use instead of the name's."),
    WAY("sources/server"),

    GROUP("transfer", 0, 0, "How to download."),
    NUMBER("transfer/connect-timeout", AG_DURATION, 0, 1, 10 * MINUTE, "PT10S",
           "For each connection."),
    NUMBER("transfer/stall-timeout", AG_DURATION, 0, 1, HOUR, "PT30S",
           "Longest time in which less than 1 KiB comes."),
    NUMBER("transfer/total-timeout", AG_DURATION, 0, 0, 30 * DAY, "PT0S",
           "For all transfers of one run. PT0S: no limit."),
    NUMBER("transfer/attempts", AG_COUNT, 0, 1, 100, "1", "Attempts at each file of a source."),
    NUMBER("transfer/max-tree-size", AG_SIZE, 0, MIB, 1024 * TIB, "4G",
           "Largest release that is taken, unpacked."),
    NUMBER("transfer/bytes-per-run", AG_SIZE, 0, 0, 1024 * TIB, "0",
           "Most bytes of objects that one run fetches. 0: no limit."),
    NUMBER("transfer/bytes-per-day", AG_SIZE, 0, 0, 1024 * TIB, "0",
           "Most bytes of objects that are fetched in a day (UTC). 0: no limit."),
    VALUE("transfer/metered", AG_BOOL, 0, "no",
          "The connection costs by the byte: no full bundle where a version is installed."),
    NUMBER("transfer/retry-delay", AG_DURATION, 0, 0, HOUR, "PT0S",
           "Time between two attempts at a source."),
    NUMBER("transfer/keep-alive", AG_DURATION, 0, 1, HOUR, "PT1M",
           "An idle connection is kept open through firewalls by a probe each such time."),
    NUMBER("transfer/bandwidth", AG_SIZE, 0, 0, TIB, "0",
           "Most bytes per second, at least 1K. 0: no limit."),

    GROUP("proxy", 0, 0, "Proxy for all sources. The environment counts only where env says so."),
    VALUE("proxy/url", AG_PROXY, 0, NULL, "The proxy, without credentials."),
    VALUE("proxy/auth-file", AG_PATH, SECRET, NULL,
          "File with the proxy's credentials, one line USER:PASSWORD, mode 0600."),
    WORDS("proxy/method", 0, "password", METHODS,
          "How to log in at it; password: basic or digest, as it likes."),
    LIST("proxy/bypass", AG_TEXT, 0, 64,
         "Host, domain (example.org) or network (10.0.0.0/8) that is asked without the proxy."),

    GROUP("tls", 0, 0, "TLS of all sources."),
    VALUE("tls/ca-file", AG_PATH, FILE_, NULL,
          "PEM file with the certificate authorities to trust instead of the system's."),
    LIST("tls/pinned-key", AG_TEXT, 0, 8,
         "sha256//BASE64 of a public key that a server may have, and no other."),
    VALUE("tls/client-certificate", AG_PATH, FILE_, NULL, "PEM file with the client certificate."),
    VALUE("tls/client-key", AG_PATH, SECRET, NULL, "Its private key."),
    VALUE("tls/crl-file", AG_PATH, 0, NULL,
          "PEM file with revocation lists of all authorities in the chain."),
    WORDS("tls/revocation", 0, "off", REVOCATION,
          "What to do about revoked server certificates. best-effort: refuse them, accept what is "
          "not known or out of date. required: refuse that, too."),

    GROUP("trust", 0, 0, "Whom to believe."),
    VALUE("trust/root", AG_PATH, FILE_, NULL,
          "The publisher's 1.root.json. Needed until the store has pinned it."),

    GROUP("components", 0, 0, "What to keep up to date, and how."),
    VALUE("components/ring", AG_NAME, 0, NULL, "Roll-out ring of this host."),
    VALUE(
        "components/only-listed", AG_BOOL, 0, "no",
        "Leave alone what has no <component> here. Else all that the repository offers is taken."),
    GROUP("components/installed-engine", MANY, 32,
          "An engine on this host, for releases that need one."),
    VALUE("components/installed-engine/@name", AG_NAME, NEEDED | KEY, NULL, "Its name."),
    VALUE("components/installed-engine/@version", AG_NAME, NEEDED, NULL, "Its version."),
    GROUP("components/component", MANY, 256, "What is special about one component."),
    VALUE("components/component/@name", AG_COMPONENT, NEEDED | KEY, NULL, "Its name."),
    VALUE("components/component/enabled", AG_BOOL, 0, "yes", "no: left alone, state disabled."),
    VALUE("components/component/engine", AG_NAME, 0, NULL,
          "Engine that uses it, in the posture. Default: the component's own name."),
    NUMBER("components/component/pin", AG_RELEASE, 0, 1, UINT64_C(9007199254740991), NULL,
           "The only version it may go to."),
    VALUE("components/component/hold", AG_BOOL, 0, "no", "Keep the installed version."),
    VALUE("components/component/ring", AG_NAME, 0, NULL, "Its roll-out ring, if another."),
    NUMBER("components/component/delay", AG_DURATION, 0, 0, YEAR, "PT0S",
           "Releases younger than that are left alone."),
    VALUE("components/component/license", AG_NAME, 0, NULL,
          "Licence class. Default: the one that the release states."),
    VALUE("components/component/trial", AG_BOOL, 0, "yes",
          "no: its product never confirms, so it is not on trial."),
    NUMBER("components/component/max-age", AG_DURATION, 0, 0, 10 * YEAR, "PT0S",
           "State stale when the last success is older. PT0S: never."),

    GROUP("licenses", 0, 0, "Licences, by class. Without this section none is needed."),
    GROUP("licenses/license", MANY, 64, "One licence."),
    VALUE("licenses/license/@class", AG_NAME, NEEDED | KEY, NULL, "Class of components."),
    VALUE("licenses/license/@expires", AG_TIME, NEEDED, NULL, "When it ends."),

    GROUP("user-update", 0, 0,
          "Who beside root and the store's owner may run check, update and forceupdate."),
    VALUE("user-update/everyone", AG_BOOL, 0, "no", "Every user of this machine."),
    LIST("user-update/user", AG_ACCOUNT, 0, 256, "A user's name."),
    LIST("user-update/group", AG_ACCOUNT, 0, 256, "A group's name."),

    GROUP("retention", 0, 0, "What is kept for going back."),
    NUMBER("retention/generations", AG_COUNT, 0, 1, 100, "1", "Earlier generations."),

    GROUP("hooks", 0, 0, "Programs to run. Several of a kind run in this order."),
    HOOK("pre-install", "Before a component is activated. Exit code 75 postpones it."),
    HOOK("validate", "Looks at a staged tree. Another exit code than 0 refuses the release."),
    HOOK("post-install", "After the activation, also when it failed."),
    HOOK("on-error", "After a run that failed."),
    HOOK("on-outdated", "When a component becomes stale, or is withdrawn without replacement."),

    GROUP("trial", 0, 0, "Time in which the product must confirm what was installed."),
    VALUE("trial/enabled", AG_BOOL, 0, "no",
          "Whether newer releases are on trial until 'defupd confirm'."),
    NUMBER("trial/confirm-within", AG_DURATION, 0, 1, 30 * DAY, "PT1H",
           "Most running time of a trial: the machine's, without sleep."),
    WORDS("trial/on-expiry", 0, "reject", "reject confirm",
          "What becomes of a set that nobody has confirmed by then: it is rolled back, or stays."),
    NUMBER("trial/crashes-allowed", AG_COUNT, 0, 0, 100, "2",
           "Starts of the product during a trial, as 'defupd early' counts them; the next one is "
           "with the set before."),

    GROUP(
        "relay", 0, 0,
        "Hold the repository for other hosts and serve it to them. Without this section this host "
        "is no relay."),
    VALUE("relay/enabled", AG_BOOL, 0, "yes", "no: as if this section was not there."),
    WORDS("relay/mode", 0, "mirror", "mirror cache",
          "mirror: everything is fetched at once. cache: metadata is, an object when somebody asks "
          "for it."),
    LIST("relay/component", AG_COMPONENT, 0, 256,
         "A component to hold. Without any: all that the repository offers."),
    NUMBER("relay/releases", AG_COUNT, 0, 0, 1024, "0",
           "mirror: only the newest so many releases of each component. 0: all."),
    NUMBER("relay/cache-size", AG_SIZE, 0, 0, 1024 * TIB, "0",
           "cache: most bytes of objects; least recently used ones go. 0: no limit."),
    NUMBER("relay/keep", AG_DURATION, 0, HOUR, YEAR, "P7D",
           "How long superseded files stay for readers under way."),
    LIST("relay/listen", AG_LISTEN, 0, 16,
         "ADDRESS:PORT to listen at. Without any: port 8090 of all addresses."),
    LIST("relay/allow", AG_NETWORK, 0, 64, "Network that may ask. Without any: everybody."),
    LIST("relay/trusted-proxy", AG_NETWORK, 0, 64,
         "Network of proxies in front, whose X-Forwarded-For is believed."),
    NUMBER("relay/connections", AG_COUNT, 0, 1, 100000, "1000", "Most connections at a time."),
    NUMBER("relay/connections-per-client", AG_COUNT, 0, 0, 10000, "256",
           "Of one address; further requests are told to try later. 0: any."),
    NUMBER("relay/requests-per-second", AG_COUNT, 0, 0, 100000, "0",
           "Of one address; five seconds' worth may come at once. 0: any."),
    NUMBER("relay/bandwidth", AG_SIZE, 0, 0, TIB, "0", "Most bytes per second, to all. 0: any."),

    GROUP("report", 0, 0, "Where events and the posture are sent."),
    VALUE("report/url", AG_HTTP, 0, NULL, "They are posted there as JSON, each with an id."),
    NUMBER("report/queue-size", AG_SIZE, 0, 64 * KIB, GIB, "4M",
           "Most bytes kept while nobody takes them; the oldest go first, and are counted."),
    VALUE("report/auth-file", AG_PATH, LATER | SECRET, NULL,
          "File with credentials, one line USER:PASSWORD."),

    GROUP("debug", 0, 0, "Detailed logs for a while."),
    VALUE("debug/until", AG_TIME, 0, NULL, "They end by themselves at this time."),

    WORDS("withdrawn-without-replacement", 0, "keep", "keep remove",
          "What becomes of an installed release that is withdrawn while nothing can replace it."),
    { 0 },
};

const char *ag_setting_name(const struct ag_setting *setting)
{
    const char *slash = strrchr(setting->path, '/');
    const char *name = slash != NULL ? slash + 1 : setting->path;

    return name[0] == '@' ? name + 1 : name;
}

bool ag_setting_is_attribute(const struct ag_setting *setting)
{
    return strchr(setting->path, '@') != NULL;
}

const struct ag_setting *ag_setting_find(const char *path)
{
    for (const struct ag_setting *at = ag_settings; at->path != NULL; at++) {
        if (strcmp(at->path, path) == 0)
            return at;
    }
    return NULL;
}

static bool is_in(const struct ag_setting *group, const struct ag_setting *setting)
{
    const size_t length = group != NULL ? strlen(group->path) : 0;

    if (group == NULL)
        return strchr(setting->path, '/') == NULL;
    return strncmp(setting->path, group->path, length) == 0 && setting->path[length] == '/' &&
           strchr(setting->path + length + 1, '/') == NULL;
}

const struct ag_setting *ag_setting_next(const struct ag_setting *group,
                                         const struct ag_setting *before)
{
    const struct ag_setting *at = before != NULL ? before + 1 : ag_settings;

    while (at->path != NULL && !is_in(group, at))
        at++;
    return at->path != NULL ? at : NULL;
}

const struct ag_setting *ag_setting_in(const struct ag_setting *group, const char *name,
                                       bool attribute)
{
    const struct ag_setting *at = NULL;

    while ((at = ag_setting_next(group, at)) != NULL) {
        if (ag_setting_is_attribute(at) == attribute && strcmp(ag_setting_name(at), name) == 0)
            return at;
    }
    return NULL;
}

uint64_t ag_setting_standard(const struct ag_setting *setting)
{
    uint64_t number = 0;

    return setting->standard != NULL && ag_value_read(setting, setting->standard, &number) ? number
                                                                                           : 0;
}
