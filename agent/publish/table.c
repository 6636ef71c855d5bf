/* SPDX-License-Identifier: Apache-2.0 */
#include "tool.h"

#include <string.h>

const struct pt_option pt_options[PT_OPT_COUNT] = {
    [PT_OPT_REPO] = { "repo", "DIR",
                      "the repository's folder; required, but for what needs keys only" },
    [PT_OPT_KEYS] = { "keys", "DIR", "folder of the private keys, mode 0700; default: DIR.keys" },
    [PT_OPT_HELP] = { "help", NULL, "this help, or that of a command; also -h" },
    [PT_OPT_VERSION] = { "version", NULL, "the version" },
    [PT_OPT_LEVEL] = { "level", "N", "compression level of bundles, 1 to 19; default: 19" },
    [PT_OPT_LABEL] = { "label", "L", "a name of the release for people, at most 64 bytes" },
    [PT_OPT_CLASS] = { "class", "C", "licence class, at most 64 bytes" },
    [PT_OPT_NOTE] = { "note", "T", "text for people, at most 256 bytes" },
    [PT_OPT_PUBLISHED] = { "published", "TIME",
                           "time of publication, YYYY-MM-DDTHH:MM:SSZ, not in the future; default: "
                           "now" },
    [PT_OPT_TYPE] = { "type", "TYPE",
                      "ed25519, ecdsa or rsa; default: ecdsa for root, targets and components, "
                      "else ed25519" },
    [PT_OPT_JSON] = { "json", NULL, "the result as one JSON object" },
    [PT_OPT_LISTEN] = { "listen", "ADDR:PORT",
                        "where to listen; default: 127.0.0.1:0, port 0 is any free one" },
    [PT_OPT_LOG] = { "log", "FILE", "append a line METHOD PATH STATUS BYTES for each request" },
    [PT_OPT_COMPONENT] = { "component", "C", "the key is for a component's own role" },
    [PT_OPT_THRESHOLD] = { "threshold", "N",
                           "signatures that the role needs; init: ROLE=N, for several roles; "
                           "default: 1" },
    [PT_OPT_EXPIRES] = { "expires", "DAYS",
                         "how long what the role signs is valid; init: ROLE=DAYS, for several "
                         "roles; default: root 365, targets and components 90, snapshot 7, "
                         "timestamp 1" },
    [PT_OPT_OLD] = { "old", "KEYID", "which key goes; default: the role's only one" },
    [PT_OPT_NEW] = { "new", "KEYID",
                     "take this key of the keys folder; default: a new one is made" },
    [PT_OPT_PENDING] = { "pending", NULL,
                         "when private keys are missing here, keep the change pending, to be "
                         "signed elsewhere: see 'sign export'" },
    [PT_OPT_YES] = { "yes", NULL, "sign without asking" },
    [PT_OPT_PASSPHRASE_FILE] = { "passphrase-file", "FILE",
                                 "first line: the passphrase of the private keys, and of those "
                                 "that are made; default: ask on the terminal" },
    [PT_OPT_PASSPHRASE] = { "passphrase", NULL,
                            "ask on the terminal for a passphrase of keys that are made" },
    [PT_OPT_WITHIN] = { "within", "DAYS",
                        "warn of what expires within these days; default: root 60, "
                        "others a quarter of their life" },
    [PT_OPT_DELTAS] = { "deltas", "N",
                        "make at most N deltas to the release, 0 to 12; default: 12" },
    [PT_OPT_JOBS] = { "jobs", "N", "deltas made at a time, 1 to 64; default: all processors" },
    [PT_OPT_MEMORY] = { "memory", "SIZE",
                        "memory for all of these together, as 2G or 512M; default: 4G" },
    [PT_OPT_KEEP] = { "keep", "DAYS",
                      "what was superseded within these days stays; default, and least: 7" },
    [PT_OPT_DRY_RUN] = { "dry-run", NULL, "tell what would go, and remove nothing" },
    [PT_OPT_OUTPUT] = { "output", "FILE",
                        "the archive: its name ends in .zip, .tar or .tar.zst; also -o" },
    [PT_OPT_SINCE] = { "since", "[C@]V",
                       "only what hosts need that have V or a newer version; again for each "
                       "component, others go in whole" },
    [PT_OPT_SINCE_POSTURE] = { "since-posture", "FILE",
                               "only what that host needs, by what 'defupd posture' printed "
                               "there" },
    [PT_OPT_STEP] = { "step", "AFTER=PERCENT",
                      "so many of the hosts from that time after the start on, as 6h=12.5%; AFTER "
                      "is 0, 30m, 6h, 2d, or ISO 8601; again for each step" },
    [PT_OPT_RING] = { "ring", "NAME=AFTER",
                      "hosts of that ring from that time on; again for each" },
    [PT_OPT_START] = { "start", "TIME",
                       "when the roll-out starts, YYYY-MM-DDTHH:MM:SSZ; default: as it was, else "
                       "now" },
    [PT_OPT_REPLACE_BY] = { "replace-by", "V",
                            "version that hosts go to which have it, older or newer; default: the "
                            "newest that they may take, else the newest older one" },
    [PT_OPT_REASON] = { "reason", "T", "why, for people, at most 256 bytes" },
    [PT_OPT_LOST] = { "lost", NULL, "the key that goes cannot sign any more" },
};

#define KEY_OPTIONS                                                         \
    (PT_BIT(PT_OPT_PASSPHRASE) | PT_BIT(PT_OPT_TYPE) | PT_BIT(PT_OPT_NEW) | \
     PT_BIT(PT_OPT_THRESHOLD) | PT_BIT(PT_OPT_EXPIRES) | PT_BIT(PT_OPT_PENDING))

#define ROLLOUT_OPTIONS (PT_BIT(PT_OPT_STEP) | PT_BIT(PT_OPT_RING) | PT_BIT(PT_OPT_START))

const struct pt_command pt_commands[] = {
    { "init", "", "make an empty, signed repository",
      "Roles without a key get one: ECDSA P-256 for root and targets, Ed25519 for snapshot and "
      "timestamp. Clients are given metadata/1.root.json as their trusted root. Keep the private "
      "keys away from the server.",
      0, 0, PT_BIT(PT_OPT_THRESHOLD) | PT_BIT(PT_OPT_EXPIRES) | PT_BIT(PT_OPT_PASSPHRASE),
      pt_init },
    { "key generate", "[ROLE]", "make a private key for a role or component",
      "ROLE is root, targets, snapshot or timestamp: before init. With --component the key is for "
      "the component's own role: see delegate. Prints the key's id.",
      0, 1,
      PT_KEYS_ONLY | PT_BIT(PT_OPT_TYPE) | PT_BIT(PT_OPT_COMPONENT) | PT_BIT(PT_OPT_PASSPHRASE),
      pt_key_generate },
    { "key list", "", "list roles and keys",
      "First the roles: version, signatures needed, keys, private halves here, expiry. Then the "
      "keys: role, type, whether the private half is here, whether the role uses it, id, file.",
      0, 0, PT_KEYS_ONLY, pt_key_list },
    { "key add", "ROLE", "one more key for a role",
      "ROLE is root, targets, snapshot, timestamp, or a component with a role of its own. Prints "
      "the key's id.",
      1, 1, KEY_OPTIONS, pt_key_add },
    { "key rotate", "ROLE", "a new key for a role, an old one out",
      "The new root is signed by the keys before and after; what the role has signed is signed "
      "anew. The old private key stays in the keys folder. Prints the new key's id.",
      1, 1, KEY_OPTIONS | PT_BIT(PT_OPT_OLD) | PT_BIT(PT_OPT_LOST), pt_key_rotate },
    { "key revoke", "KEYID", "take a key out of every role",
      "KEYID is a key's id, or its first 8 digits or more.", 1, 1,
      PT_BIT(PT_OPT_LOST) | PT_BIT(PT_OPT_PENDING), pt_key_revoke },
    { "key threshold", "ROLE N", "how many signatures a role needs",
      "N is at most the number of the role's keys.", 2, 2,
      PT_BIT(PT_OPT_LOST) | PT_BIT(PT_OPT_PENDING), pt_key_threshold },
    { "delegate", "C", "give a component a role of its own",
      "Then its own keys sign its releases, and nobody else can. They are those that 'key "
      "generate --component' has made, or whose public half (C-KEYID8.json) was put into the keys "
      "folder. Targets is signed once more.",
      1, 1, PT_BIT(PT_OPT_THRESHOLD) | PT_BIT(PT_OPT_EXPIRES) | PT_BIT(PT_OPT_PENDING),
      pt_delegate },
    { "renew", "ROLE", "sign a role anew before it expires",
      "For root, and for what is not signed by refresh because its keys are elsewhere.", 1, 1,
      PT_BIT(PT_OPT_EXPIRES) | PT_BIT(PT_OPT_PENDING), pt_renew },
    { "sign export", "FILE", "write the pending change, to be signed elsewhere",
      "FILE holds all that is needed to judge and sign it: the roots, what is published, and what "
      "it is to become. No secret is in it.",
      1, 1, 0, pt_sign_export },
    { "sign import", "FILE", "take over signatures; go live when there are enough",
      "Only signatures are taken from FILE. With the last one that is needed, snapshot and "
      "timestamp are signed by the keys that are here, and the change goes live.",
      1, 1, 0, pt_sign_import },
    { "sign list", "", "what is pending, and which signatures are there",
      "Tells what the pending change changes, role by role. Needs no key.", 0, 0, 0, pt_sign_list },
    { "sign drop", "", "throw the pending change away",
      "Keys that were made for it stay in the keys folder.", 0, 0, 0, pt_sign_drop },
    { "sign", "FILE", "sign an exported change with the keys that are here",
      "On another machine: needs --keys DIR, and no repository. Tells in words what is to be "
      "signed, asks, and writes the signatures into FILE. The roots in FILE must go on from "
      "root.json in the keys folder.",
      1, 1, PT_KEYS_ONLY | PT_BIT(PT_OPT_YES), pt_sign },
    { "add-release", "C V TREE_DIR", "bundle a folder and publish it",
      "Publishes the files of TREE_DIR as version V of component C. V is an integer higher than "
      "all published ones. Symbolic links, special files, empty folders, setuid, setgid or sticky "
      "bits and names that not every file system can hold are refused with their path. Deltas to "
      "it are made from the bundles of earlier releases, each is applied once, and those that cost "
      "less than 0.9 of the bundle are published. Readers see the release when all of it is in "
      "place.",
      3, 3,
      PT_BIT(PT_OPT_LEVEL) | PT_BIT(PT_OPT_LABEL) | PT_BIT(PT_OPT_CLASS) | PT_BIT(PT_OPT_NOTE) |
          PT_BIT(PT_OPT_PUBLISHED) | PT_BIT(PT_OPT_PENDING) | PT_BIT(PT_OPT_DELTAS) |
          PT_BIT(PT_OPT_JOBS) | PT_BIT(PT_OPT_MEMORY) | PT_BIT(PT_OPT_JSON) | ROLLOUT_OPTIONS,
      pt_add_release },
    { "withdraw", "C V", "pull a release back",
      "From now on no host takes version V of component C, and hosts that have it leave it with "
      "their next poll, also for an older version. Its objects stay where they are. Once more for "
      "a release that is withdrawn: another replacement or reason.",
      2, 2,
      PT_BIT(PT_OPT_REPLACE_BY) | PT_BIT(PT_OPT_REASON) | PT_BIT(PT_OPT_PENDING) |
          PT_BIT(PT_OPT_JSON),
      pt_withdraw },
    { "rollout", "C V set|pause|resume", "who may take a release from when on",
      "set: by --step and --ring, in place of what was there; '--step 0=100%' is for all at once. "
      "A host's place among the others differs from release to release. pause: hosts that have it "
      "keep it, no other takes it. resume: it goes on where it was, and what had not begun begins "
      "later by the time that it stood still. Who names the version gets it in any case.",
      3, 3, ROLLOUT_OPTIONS | PT_BIT(PT_OPT_PENDING) | PT_BIT(PT_OPT_JSON), pt_rollout },
    { "refresh", "", "sign the timestamp anew",
      "Run it hourly. Needs the timestamp's key only. Snapshot and targets are signed anew too "
      "when half of their life is over and their keys are there.",
      0, 0, 0, pt_refresh },
    { "verify", "", "check the whole repository as a client and an auditor would",
      "Signatures, expiry, digests, and every object: there, right, unpacking or leading to its "
      "tree. "
      "Needs no key; where root.json stands in the keys folder, the roots must go on from it. "
      "Tells "
      "roles with signatures and days left, components with objects, and each defect; exit code "
      "65 when there is any. Objects are unpacked below TMPDIR.",
      0, 0, PT_BIT(PT_OPT_JSON) | PT_BIT(PT_OPT_WITHIN), pt_verify },
    { "prune", "", "remove what no reader can ask for any more",
      "Metadata, manifests and objects go that are not named by what is published now, nor by what "
      "was published within the last days. Roots stay, and what a pending change names. Run it "
      "daily. Needs no key.",
      0, 0, PT_BIT(PT_OPT_JSON) | PT_BIT(PT_OPT_KEEP) | PT_BIT(PT_OPT_DRY_RUN), pt_prune },
    { "export-offline", "", "write an archive for hosts without a network",
      "All metadata, and the objects of all releases, in one file that 'defupd import' takes. With "
      "--since or --since-posture only the objects that are needed from there on: the cheapest "
      "path of deltas, else a full bundle. The posture of a host is its receipt: by it the next "
      "archive holds what that host lacks. The file is written beside and renamed; the same "
      "repository gives the same bytes. Needs no key.",
      0, 0,
      PT_BIT(PT_OPT_JSON) | PT_BIT(PT_OPT_OUTPUT) | PT_BIT(PT_OPT_SINCE) |
          PT_BIT(PT_OPT_SINCE_POSTURE),
      pt_export_offline },
    { "serve", "", "serve the repository over HTTP, for trials",
      "Prints 'serving DIR at URL' when it listens and ends with SIGTERM or SIGINT. Any web server "
      "can do this; nothing in a repository needs one of its own.",
      0, 0, PT_BIT(PT_OPT_LISTEN) | PT_BIT(PT_OPT_LOG), pt_serve },
};
const size_t pt_command_count = sizeof pt_commands / sizeof pt_commands[0];

#define WIDTH 80

/* Words of `text`, wrapped, each line indented; the cursor stands at column `at`. */
static void wrap(FILE *out, const char *text, size_t indent, size_t at)
{
    while (*text != '\0') {
        const size_t len = strcspn(text, " ");

        if (at > indent && at + 1 + len > WIDTH) {
            (void)fputc('\n', out);
            at = 0;
        }
        if (at < indent)
            at += (size_t)fprintf(out, "%*s", (int)(indent - at), "");
        else if (at > indent)
            at += (size_t)fprintf(out, " ");
        at += (size_t)fprintf(out, "%.*s", (int)len, text);
        text += len;
        text += strspn(text, " ");
    }
    (void)fputc('\n', out);
}

static void help_options(FILE *out, uint64_t options)
{
    for (size_t i = 0; i < PT_OPT_COUNT; i++) {
        const struct pt_option *option = &pt_options[i];
        size_t at;

        if ((options & PT_BIT(i)) == 0)
            continue;
        at = (size_t)fprintf(out, "  --%s%s%s", option->name, option->arg != NULL ? " " : "",
                             option->arg != NULL ? option->arg : "");
        if (at + 2 > 22) {
            (void)fputc('\n', out);
            at = 0;
        }
        wrap(out, option->help, 22, at);
    }
}

void pt_help(FILE *out, const struct pt_command *command)
{
    if (command != NULL) {
        (void)fprintf(out, "Usage: defupd-publish %s [OPTION]... %s%s%s\n\n",
                      (command->options & PT_KEYS_ONLY) != 0 ? "{--repo DIR|--keys DIR}"
                                                             : "--repo DIR",
                      command->name, command->synopsis[0] != '\0' ? " " : "", command->synopsis);
        wrap(out, command->text, 0, 0);
        (void)fputs("\nOptions:\n", out);
        help_options(out, command->options | PT_COMMON);
        return;
    }
    (void)fputs("Usage: defupd-publish --repo DIR [OPTION]... COMMAND [ARGUMENT]...\n\n", out);
    wrap(out,
         "Publish security definitions: a repository of static, signed files that any web server "
         "can carry.",
         0, 0);
    (void)fputs("\nCommands (C is a component, V a version):\n", out);
    for (size_t i = 0; i < pt_command_count; i++) {
        size_t at = (size_t)fprintf(out, "  %s %s", pt_commands[i].name, pt_commands[i].synopsis);
        wrap(out, pt_commands[i].summary, 30, at);
    }
    (void)fputs("\nOptions, before or after the command:\n", out);
    help_options(out, PT_COMMON);
    (void)fputs("\n'defupd-publish COMMAND --help' tells more about a command.\n", out);
}
