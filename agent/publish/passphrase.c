/* SPDX-License-Identifier: Apache-2.0 */
/* Passphrases: from a file that nobody else can read, or from the terminal without echo. Never from
 * the environment or the command line, which others can see. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "../signals.h"
#include "tool.h"

static void cut_line(char *text)
{
    text[strcspn(text, "\r\n")] = '\0';
}

static defupd_code read_all(int fd, const char *path, char *out, size_t size, defupd_error *err)
{
    size_t len = 0;
    ssize_t got;

    while ((got = read(fd, out + len, size - 1 - len)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pt_fail(err, DEFUPD_E_IO, "read %s: %s", path, strerror(errno));
        len += (size_t)got;
        if (len == size - 1 && memchr(out, '\n', len) == NULL)
            return pt_fail(err, DEFUPD_E_KEY, "%s: its first line is too long", path);
        if (len == size - 1)
            break;
    }
    out[len] = '\0';
    cut_line(out);
    if (out[0] == '\0')
        return pt_fail(err, DEFUPD_E_KEY, "%s: its first line is empty", path);
    return DEFUPD_OK;
}

static defupd_code from_file(const char *path, char *out, size_t size, defupd_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    defupd_code rc;

    if (fd < 0)
        return pt_fail(err, DEFUPD_E_KEY, "open %s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0)
        rc = pt_fail(err, DEFUPD_E_IO, "look at %s: %s", path, strerror(errno));
    else if (S_ISREG(st.st_mode) && (st.st_mode & 077U) != 0)
        rc = pt_fail(err, DEFUPD_E_KEY, "%s has mode %04o: others may read it, expected 0600", path,
                     (unsigned)st.st_mode & 07777U);
    else
        rc = read_all(fd, path, out, size, err);
    (void)close(fd);
    return rc;
}

/* One line from the terminal, unseen. A signal puts the terminal back before it ends the work. */
static defupd_code ask(int terminal, const char *prompt, const char *file, char *out, size_t size,
                       defupd_error *err)
{
    struct termios before, quiet;
    bool read, cut = false;

    if (tcgetattr(terminal, &before) != 0)
        return pt_fail(err, DEFUPD_E_KEY, "the terminal cannot be set: %s", strerror(errno));
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    /* Before the prompt: what is typed ahead is thrown away, not shown. */
    if (tcsetattr(terminal, TCSAFLUSH, &quiet) != 0)
        return pt_fail(err, DEFUPD_E_KEY, "the terminal cannot be set: %s", strerror(errno));
    (void)dprintf(terminal, "%s %s: ", prompt, file);
    read = pt_read_line(terminal, out, size, &cut);
    (void)tcsetattr(terminal, TCSAFLUSH, &before);
    (void)dprintf(terminal, "\n");
    if (ag_signals_came())
        return pt_fail(err, DEFUPD_E_CANCELLED, "no passphrase was given for %s: cancelled", file);
    if (!read)
        return pt_fail(err, DEFUPD_E_KEY, "no passphrase was given for %s", file);
    if (cut)
        return pt_fail(err, DEFUPD_E_KEY, "%s: the passphrase is longer than %d bytes", file,
                       DEFUPD_PASSPHRASE_MAX);
    return DEFUPD_OK;
}

static defupd_code ask_twice(int terminal, const char *file, char *out, size_t size,
                             defupd_error *err)
{
    char again[DEFUPD_PASSPHRASE_MAX + 1];
    defupd_code rc = ask(terminal, "Passphrase for the new key", file, out, size, err);

    if (rc == DEFUPD_OK && out[0] == '\0')
        rc = pt_fail(err, DEFUPD_E_KEY, "%s: the passphrase is empty", file);
    if (rc != DEFUPD_OK)
        return rc;
    rc = ask(terminal, "The same again, for", file, again, sizeof again, err);
    if (rc == DEFUPD_OK && strcmp(out, again) != 0)
        rc = pt_fail(err, DEFUPD_E_KEY, "the two passphrases for %s differ", file);
    explicit_bzero(again, sizeof again);
    return rc;
}

defupd_code pt_passphrase(void *user, const char *file, int fresh, char *passphrase, size_t size,
                          defupd_error *err)
{
    const struct pt_args *args = user;
    defupd_code rc;
    int terminal;

    passphrase[0] = '\0';
    if (args->value[PT_OPT_PASSPHRASE_FILE] != NULL)
        return from_file(args->value[PT_OPT_PASSPHRASE_FILE], passphrase, size, err);
    if (fresh != 0 && args->value[PT_OPT_PASSPHRASE] == NULL)
        return DEFUPD_OK;
    terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (terminal < 0)
        return pt_fail(err, DEFUPD_E_KEY,
                       "%s: no terminal to ask for its passphrase; --passphrase-file names a file",
                       file);
    rc = fresh != 0 ? ask_twice(terminal, file, passphrase, size, err)
                    : ask(terminal, "Passphrase of", file, passphrase, size, err);
    (void)close(terminal);
    return rc;
}
