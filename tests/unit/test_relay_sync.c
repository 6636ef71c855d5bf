/* SPDX-License-Identifier: Apache-2.0 */
/* What a relay serves, by what its upstream has; endpoints read it as they would the upstream. */
#include "relay_kit.h"

static void start(int releases)
{
    kit_start();
    hub_start();
    hub_releases(1, releases);
}

static void the_relay_holds_what_the_repository_holds(void)
{
    defupd_error err = { 0 };

    start(2);
    T_OK(hub_sync(&err), &err);
    T_CHECK(hub.report.changed && hub.report.version != 0 && hub.report.missing == 0);
    T_CHECK(t_shell("diff -r repo/objects hub/relay/objects") == 0);
    T_CHECK(t_shell("cmp repo/metadata/timestamp.json hub/relay/metadata/timestamp.json && "
                    "cmp repo/metadata/1.root.json hub/relay/metadata/1.root.json") == 0);
    T_CHECK(t_shell("test -z \"$(find hub/relay -name '*.tmp')\"") == 0);
    T_CHECK(kit_told(DEFUPD_EVENT_RELAY_REQUESTED) != NULL);
    T_CHECK(kit_told(DEFUPD_EVENT_RELAY_SUCCEEDED) != NULL);

    kit.source = hub_url();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a2"));
    hub_releases(3, 3);
    T_OK(hub_sync(&err), &err);
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a3"));
}

static void files_are_for_everybody_to_read(void)
{
    defupd_error err = { 0 };

    start(1);
    T_OK(hub_sync(&err), &err);
    T_CHECK(t_shell("test -z \"$(find hub/relay/metadata hub/relay/targets hub/relay/objects "
                    "-type f ! -perm 0644)$(find hub/relay -type d ! -perm 0755 ! -name "
                    "parts)\"") == 0);
}

static void nothing_new_changes_nothing(void)
{
    defupd_error err = { 0 };

    start(1);
    T_OK(hub_sync(&err), &err);
    T_CHECK(
        t_shell(
            "find hub/relay -type f ! -name figures -printf '%%p %%i %%T@\\n' | sort >before") ==
        0);
    T_OK(hub_sync(&err), &err);
    T_CHECK(!hub.report.changed && hub.report.fetched == 0 && hub.report.objects == 1);
    T_CHECK(t_shell("find hub/relay -type f ! -name figures -printf '%%p %%i %%T@\\n' | sort | cmp "
                    "before") == 0);
}

static void an_update_before_it_spares_the_download(void)
{
    defupd_client *client = NULL;
    struct du_relay *relay = NULL;
    defupd_error err = { 0 };

    start(1);
    T_OK(hub_open(&relay, &err), &err);
    T_OK(defupd_client_open(&client, &hub.client, &err), &err);
    T_OK(defupd_client_update(client, NULL, NULL, &err), &err);
    T_OK(du_relay_sync(relay, NULL, &hub.report, &err), &err);
    T_CHECK(hub.report.changed && hub.report.fetched == 0 && hub.report.objects == 1);
    /* Two names of one file. */
    T_CHECK(t_shell("test -n \"$(find hub/relay/objects -type f -links 2)\"") == 0);
    defupd_client_close(client);
    du_relay_close(relay);
}

static void upstream_gone_leaves_all_as_it_is_and_lag_grows(void)
{
    struct du_relay_figures figures;
    defupd_error err = { 0 };

    start(1);
    T_OK(hub_sync(&err), &err);
    T_CHECK(t_shell("mv repo away && mkdir -p repo/metadata && cp away/metadata/1.root.json "
                    "repo/metadata") == 0);
    hub_turn_clock(3600);
    T_FAILS(hub_sync(&err), DEFUPD_E_NOT_FOUND, &err);
    T_CHECK(kit_told(DEFUPD_EVENT_RELAY_FAILED) != NULL);
    figures = hub_figures();
    T_CHECK(figures.version != 0 && figures.last_error == DEFUPD_E_NOT_FOUND &&
            figures.last_error_text[0] != '\0' && figures.last_sync > figures.last_success);
    T_CHECK(du_relay_lag_s(&figures, hub_now_s()) >= 3600);
    kit.source = hub_url();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
}

static void expired_upstream_changes_nothing(void)
{
    defupd_error err = { 0 };

    start(1);
    T_OK(hub_sync(&err), &err);
    hub_turn_clock(3 * 24 * 3600);
    T_FAILS(hub_sync(&err), DEFUPD_E_EXPIRED, &err);
    T_CHECK(hub.report.version != 0);
    T_CHECK(t_shell("cmp repo/metadata/timestamp.json hub/relay/metadata/timestamp.json") == 0);
}

static void an_older_upstream_does_not_take_it_back(void)
{
    defupd_error err = { 0 };

    start(1);
    T_CHECK(t_shell("cp -r repo old") == 0);
    hub_releases(2, 2);
    T_OK(hub_sync(&err), &err);
    T_CHECK(t_shell("mv repo new && mv old repo") == 0);
    T_FAILS(hub_sync(&err), DEFUPD_E_SOURCE_BEHIND, &err);
    T_CHECK(t_shell("cmp new/metadata/timestamp.json hub/relay/metadata/timestamp.json") == 0);
}

static void wrong_bytes_never_get_a_name(void)
{
    struct du_relay_figures figures;
    defupd_error err = { 0 };

    start(1);
    T_OK(hub_sync(&err), &err);
    hub_releases(2, 2);
    T_CHECK(t_shell("for f in $(find repo/objects -type f -newer hub/relay/figures); do printf X | "
                    "dd of=$f bs=1 seek=40 conv=notrunc status=none; done") == 0);
    T_FAILS(hub_sync(&err), DEFUPD_E_DIGEST, &err);
    T_CHECK(t_shell("test $(find hub/relay/objects -type f | wc -l) = 1") == 0);
    figures = hub_figures();
    T_CHECK(figures.upstream_since != 0); /* it knows of something newer */
    kit.source = hub_url();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
}

static void an_old_object_that_nobody_has_is_left_out(void)
{
    defupd_error err = { 0 };

    start(1);
    T_CHECK(t_shell("rm $(find repo/objects -type f)") == 0);
    hub_releases(2, 2);
    kit_rubbish(2, 1, "1", "no delta, but named");
    T_OK(hub_sync(&err), &err);
    T_CHECK(hub.report.missing == 1 && hub.report.objects == 2);
    T_CHECK(hub_figures().named == 3 && hub_figures().missing == 1);
    kit.source = hub_url();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a2"));
}

static void what_was_damaged_here_is_fetched_anew(void)
{
    defupd_error err = { 0 };

    start(1);
    T_OK(hub_sync(&err), &err);
    T_CHECK(t_shell("rm -rf hub/downloads/* && f=$(find hub/relay/objects -type f) && rm $f && "
                    "mkdir $f && echo short >$f/x && echo {} >hub/relay/metadata/1.targets.json "
                    "&& rm hub/relay/metadata/*.snapshot.json && echo x >hub/relay/named && echo "
                    "x >hub/relay/left && echo x >hub/relay/figures && rm "
                    "hub/relay/metadata/timestamp.json && mkdir "
                    "hub/relay/metadata/timestamp.json") == 0);
    T_OK(hub_sync(&err), &err);
    kit.source = hub_url();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
}

static void superseded_files_stay_a_week_and_then_go(void)
{
    defupd_error err = { 0 };

    start(1);
    T_OK(hub_sync(&err), &err);
    T_CHECK(t_shell("cp -r hub/relay first") == 0);
    hub_releases(2, 2);
    T_OK(hub_sync(&err), &err);
    /* All that the first state leads to is there still. */
    T_CHECK(t_shell("cd first && find metadata targets objects -type f ! -name timestamp.json "
                    "-exec cmp {} ../hub/relay/{} \\;  | wc -l | grep -qx 0") == 0);
    hub_turn_clock(3600);
    T_OK(hub_sync(&err), &err);
    T_CHECK(hub.report.removed == 0);
    T_CHECK(t_shell("cd first && test -e ../hub/relay/$(ls -d metadata/*.targets.json)") == 0);
    hub_turn_clock(8 * 24 * 3600);
    {
        T_AUTO_REPO *repo = t_repo(NULL);
        t_clock(repo, du_sys_posix.now_s() + 8 * 24 * 3600);
        T_OK(defupd_repo_refresh(repo, &err), &err);
    }
    T_OK(hub_sync(&err), &err);
    T_CHECK(hub.report.removed > 0);
    T_CHECK(t_shell("cd first && ! test -e ../hub/relay/$(ls -d metadata/*.targets.json)") == 0);
    T_CHECK(t_shell("test -e hub/relay/metadata/1.root.json") == 0);
    T_CHECK(t_shell("test $(ls hub/relay/metadata/*.targets.json | wc -l) = 1") == 0);
    T_CHECK(t_shell("test $(find hub/relay/objects -type f | wc -l) = 2") == 0);
}

static void drop_deltas(struct du_manifest *manifest, void *user)
{
    (void)user;
    manifest->release[0].deltas = 0;
}

static uint64_t rubbish_left(void)
{
    DU_AUTO_NAMED named = { 0 };
    DU_AUTO_FD top = open("hub/relay", O_RDONLY | O_DIRECTORY);
    unsigned char sha256[DU_SHA256_BYTES];
    const struct du_named_item *item;
    defupd_error err = { 0 };

    du_sha256(sha256, "rubbish", 7);
    T_OK(du_named_read(&named, &du_sys_posix, top, &err), &err);
    item = du_named_find(&named, sha256);
    return item != NULL ? (uint64_t)item->left : UINT64_MAX;
}

static void an_object_that_is_named_no_more_stays_a_week_and_then_goes(void)
{
    defupd_error err = { 0 };

    start(2);
    kit_rubbish(2, 1, "1", "rubbish");
    T_OK(hub_sync(&err), &err);
    T_CHECK(hub.report.objects == 3 && rubbish_left() == 0);
    kit_edit(drop_deltas, NULL);
    T_OK(hub_sync(&err), &err);
    T_CHECK(hub.report.objects == 2 && rubbish_left() > 0 && rubbish_left() != UINT64_MAX);
    hub_turn_clock(3600);
    T_OK(hub_sync(&err), &err);
    T_CHECK(t_shell("test $(find hub/relay/objects -type f | wc -l) = 3") == 0);
    {
        T_AUTO_REPO *repo = t_repo(NULL);
        t_clock(repo, du_sys_posix.now_s() + 8 * 24 * 3600);
        T_OK(defupd_repo_refresh(repo, &err), &err);
    }
    hub_turn_clock(8 * 24 * 3600);
    T_OK(hub_sync(&err), &err);
    T_CHECK(t_shell("test $(find hub/relay/objects -type f | wc -l) = 2") == 0);
    T_CHECK(rubbish_left() == UINT64_MAX);
}

static void only_the_newest_releases_when_told_so(void)
{
    defupd_error err = { 0 };

    start(3);
    hub.options.releases = 2;
    T_OK(hub_sync(&err), &err);
    T_CHECK(hub.report.objects == 2 && hub.report.missing == 1);
    kit.source = hub_url();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a3"));
}

static void only_the_components_that_were_asked_for(void)
{
    static const char *const list[] = { "beta", NULL };
    defupd_error err = { 0 };

    start(1);
    t_tree("b1", "b");
    kit_add_to("beta", 1, "b1");
    hub.options.components = list;
    T_OK(hub_sync(&err), &err);
    T_CHECK(t_shell("test -d hub/relay/targets/beta && test ! -e hub/relay/targets/alpha") == 0);
    T_CHECK(hub.report.objects == 1);
}

static void components_with_keys_of_their_own(void)
{
    defupd_error err = { 0 };

    start(1);
    {
        T_AUTO_REPO *repo = t_repo(NULL);
        T_OK(defupd_repo_key_generate(repo, "alpha", "ed25519", NULL, &err), &err);
        T_OK(t_change(repo, DEFUPD_REPO_DELEGATE, "alpha", NULL, &err), &err);
        T_OK(defupd_repo_key_generate(repo, "beta", "ed25519", NULL, &err), &err);
        T_OK(t_change(repo, DEFUPD_REPO_DELEGATE, "beta", NULL, &err), &err);
    }
    hub_releases(2, 2);
    T_OK(hub_sync(&err), &err); /* beta has no manifest yet */
    T_CHECK(t_shell("f=$(ls -t repo/metadata/*.alpha.json | head -1) && cmp $f "
                    "hub/relay/metadata/${f##*/}") == 0);
    kit.source = hub_url();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a2"));
    hub_releases(3, 3);
    T_OK(hub_sync(&err), &err);
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a3"));
}

static void a_cache_holds_metadata_and_knows_what_it_may_fetch(void)
{
    DU_AUTO_NAMED named = { 0 };
    DU_AUTO_FD top = -1;
    defupd_error err = { 0 };

    start(2);
    hub.options.mode = DU_RELAY_CACHE;
    T_OK(hub_sync(&err), &err);
    T_CHECK(hub.report.objects == 0 && hub.report.missing == 2 && hub.report.fetched == 0);
    T_CHECK(t_shell("cmp repo/metadata/timestamp.json hub/relay/metadata/timestamp.json && test "
                    "-z \"$(find hub/relay/objects -type f)\"") == 0);
    top = open("hub/relay", O_RDONLY | O_DIRECTORY);
    T_OK(du_named_read(&named, &du_sys_posix, top, &err), &err);
    T_CHECK(named.count == 2 && named.item[0].bytes > 0 && named.item[0].left == 0);
}

/* Into a file of the relay's own: with a sum that is right. */
static void put_sealed(const char *path, const char *lines)
{
    DU_AUTO_BUF text = DU_BUF(1 << 20);
    defupd_error err = { 0 };
    FILE *file = fopen(path, "w");

    T_OK(du_buf_printf(&text, &err, "%s%s", DU_FACT_HEAD, lines), &err);
    T_OK(du_fact_seal(&text, 0, &err), &err);
    T_CHECK(file != NULL && fwrite(text.data, 1, text.len, file) == text.len && fclose(file) == 0);
}

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void lines_that_are_none_are_refused_or_passed_over(void)
{
    static const char *const named[] = {
        HEX " 1\n", HEX " 1 2 3\n", HEX " -1 0\n",  HEX "0 1 0\n",
        " 1 0\n",   "x 1 0\n",      HEX " 1 0\n\n", HEX "\t1 0\n"
    };
    static const char *const left[] = { "x y\n",
                                        "1\n",
                                        "99999999999999999999 metadata/1.root.json\n",
                                        "1 metadata/1.root.json\n1 metadata/timestamp.json\n",
                                        "1 ../../../etc/passwd\n1 /etc/passwd\n1 \n",
                                        "0 metadata/1.snapshot.json\n" };
    DU_AUTO_FD top = -1;
    defupd_error err = { 0 };

    start(1);
    T_OK(hub_sync(&err), &err);
    top = open("hub/relay", O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        DU_AUTO_NAMED read = { 0 };

        put_sealed("hub/relay/named", named[i]);
        T_FAILS(du_named_read(&read, &du_sys_posix, top, &err), DEFUPD_E_STORE_CORRUPT, &err);
        T_CHECK(read.count == 0);
        T_OK(hub_sync(&err), &err);
        T_OK(du_named_read(&read, &du_sys_posix, top, &err), &err);
        T_CHECK(read.count == 1);
    }
    kit.source = hub_url();
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        put_sealed("hub/relay/left", left[i]);
        T_OK(hub_sync(&err), &err);
        T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
        T_CHECK(t_shell("test -e hub/relay/metadata/1.root.json") == 0);
    }
    T_CHECK(kit_is("a1"));
}

static void a_chain_of_two_relays(void)
{
    defupd_error err = { 0 };

    start(1);
    T_OK(hub_sync(&err), &err);
    T_CHECK(t_shell("mv hub first && mv first/relay upstream && mkdir first/relay") == 0);
    {
        static char url[256];
        (void)snprintf(url, sizeof url, "file://%s/upstream", kit.here);
        hub.source = url;
        T_OK(hub_sync(&err), &err);
    }
    kit.source = hub_url();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
}

static void every_root_is_there_for_clients_of_any_age(void)
{
    defupd_error err = { 0 };
    static char root[65536];
    FILE *file;

    start(1);
    for (int i = 0; i < 2; i++) {
        T_AUTO_REPO *repo = t_repo(NULL);
        T_OK(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "timestamp", NULL, &err), &err);
    }
    /* This relay was given the newest only. */
    file = fopen("repo/metadata/3.root.json", "r");
    T_CHECK(file != NULL);
    if (file == NULL)
        return;
    hub.client.trusted_root_bytes = fread(root, 1, sizeof root, file);
    hub.client.trusted_root = root;
    (void)fclose(file);
    T_OK(hub_sync(&err), &err);
    T_CHECK(t_shell("for n in 1 2 3; do cmp repo/metadata/$n.root.json "
                    "hub/relay/metadata/$n.root.json || exit 1; done") == 0);
    kit.source = hub_url();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
}

static void an_older_root_that_does_not_lead_to_ours_is_not_taken(void)
{
    defupd_error err = { 0 };
    static char root[65536];
    FILE *file;

    start(1);
    {
        T_AUTO_REPO *repo = t_repo(NULL);
        T_OK(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "root", NULL, &err), &err);
    }
    file = fopen("repo/metadata/2.root.json", "r");
    T_CHECK(file != NULL);
    if (file == NULL)
        return;
    hub.client.trusted_root_bytes = fread(root, 1, sizeof root, file);
    hub.client.trusted_root = root;
    (void)fclose(file);
    /* Somebody else's, who is no less signed. */
    T_CHECK(t_shell("mv repo mine && mv repo.keys mine.keys") == 0);
    kit_start();
    T_CHECK(t_shell("cp repo/metadata/1.root.json mine/metadata && rm -r repo && mv mine repo") ==
            0);
    T_OK(hub_sync(&err), &err);
    T_CHECK(t_shell("test ! -e hub/relay/metadata/1.root.json && test -e "
                    "hub/relay/metadata/2.root.json") == 0);
}

int main(void)
{
    T_RUN(the_relay_holds_what_the_repository_holds);
    T_RUN(files_are_for_everybody_to_read);
    T_RUN(nothing_new_changes_nothing);
    T_RUN(an_update_before_it_spares_the_download);
    T_RUN(upstream_gone_leaves_all_as_it_is_and_lag_grows);
    T_RUN(expired_upstream_changes_nothing);
    T_RUN(an_older_upstream_does_not_take_it_back);
    T_RUN(wrong_bytes_never_get_a_name);
    T_RUN(an_old_object_that_nobody_has_is_left_out);
    T_RUN(what_was_damaged_here_is_fetched_anew);
    T_RUN(superseded_files_stay_a_week_and_then_go);
    T_RUN(an_object_that_is_named_no_more_stays_a_week_and_then_goes);
    T_RUN(only_the_newest_releases_when_told_so);
    T_RUN(only_the_components_that_were_asked_for);
    T_RUN(components_with_keys_of_their_own);
    T_RUN(a_cache_holds_metadata_and_knows_what_it_may_fetch);
    T_RUN(lines_that_are_none_are_refused_or_passed_over);
    T_RUN(a_chain_of_two_relays);
    T_RUN(every_root_is_there_for_clients_of_any_age);
    T_RUN(an_older_root_that_does_not_lead_to_ours_is_not_taken);
    return T_DONE();
}
