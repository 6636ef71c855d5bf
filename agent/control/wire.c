/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_plain(unsigned char byte, bool spaces)
{
    return byte > 0x20 ? byte != '%' && byte != 0x7f : byte == ' ' && spaces;
}

size_t ag_encode(char *out, size_t size, const char *text, bool spaces)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t need = 0;
    char *end = out;

    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text;
        const size_t length = is_plain(byte, spaces) ? 1 : 3;

        need += length;
        if (need >= size)
            continue;
        if (length == 1) {
            *end++ = (char)byte;
        } else {
            *end++ = '%';
            *end++ = hex[byte >> 4];
            *end++ = hex[byte & 15];
        }
    }
    if (size > 0)
        *end = '\0';
    return need;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool ag_decode(char *text)
{
    char *out = text;

    for (; *text != '\0'; text++) {
        if (*text == '%') {
            const int high = nibble(text[1]);
            const int low = high >= 0 ? nibble(text[2]) : -1;

            if (low < 0 || (high | low) == 0)
                return false;
            *out++ = (char)(high << 4 | low);
            text += 2;
        } else {
            *out++ = *text;
        }
    }
    *out = '\0';
    return true;
}

int ag_split(char *line, char **words, size_t max)
{
    size_t count = 0;

    for (char *next = line; next != NULL;) {
        char *word = next, *space = strchr(word, ' ');

        next = space != NULL ? space + 1 : NULL;
        if (space != NULL)
            *space = '\0';
        if (word[0] == '\0' || count == max || !ag_decode(word))
            return -1;
        words[count++] = word;
    }
    return (int)count;
}

bool ag_number(const char *word, bool sign, int64_t *number)
{
    const bool minus = sign && word[0] == '-';
    int64_t n = 0;

    word += minus;
    if (*word == '\0' || (*word == '0' && word[1] != '\0'))
        return false;
    for (; *word != '\0'; word++) {
        if (*word < '0' || *word > '9' || n > (INT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (*word - '0');
    }
    *number = minus ? -n : n;
    return true;
}

/* Room for more; false when a line is longer than that. */
static bool make_room(struct ag_lines *lines)
{
    if (lines->taken > 0) {
        memmove(lines->bytes, lines->bytes + lines->taken, lines->used - lines->taken);
        lines->used -= lines->taken;
        lines->taken = 0;
    }
    if (lines->used == sizeof lines->bytes) {
        lines->too_long = true;
        errno = EMSGSIZE;
        return false;
    }
    return true;
}

int ag_lines_read(struct ag_lines *lines, int fd)
{
    ssize_t got;

    if (!make_room(lines))
        return -1;
    do {
        got = read(fd, lines->bytes + lines->used, sizeof lines->bytes - lines->used);
    } while (got < 0 && errno == EINTR);
    if (got <= 0)
        return (int)got;
    lines->used += (size_t)got;
    return 1;
}

/* Room for the one descriptor that a message may bring. */
union control {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* The padding has room for a second one. */
static void take_descriptors(struct msghdr *message, int *given)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    int fd;

    if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
        return;
    for (size_t at = 0; CMSG_LEN(at + sizeof fd) <= head->cmsg_len; at += sizeof fd) {
        memcpy(&fd, CMSG_DATA(head) + at, sizeof fd);
        if (*given <= 0) /* above the numbers that programs get it by */
            *given = fcntl(fd, F_DUPFD_CLOEXEC, 10);
        (void)close(fd);
    }
}

int ag_lines_receive(struct ag_lines *lines, int fd, int *given)
{
    union control control;
    struct iovec part;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t got;

    if (!make_room(lines))
        return -1;
    part.iov_base = lines->bytes + lines->used;
    part.iov_len = sizeof lines->bytes - lines->used;
    got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got <= 0)
        return (int)got;
    take_descriptors(&message, given);
    lines->used += (size_t)got;
    return 1;
}

bool ag_out_give(struct ag_out *out, int fd, int given)
{
    union control control = { .head = { .cmsg_len = CMSG_LEN(sizeof given),
                                        .cmsg_level = SOL_SOCKET,
                                        .cmsg_type = SCM_RIGHTS } };
    struct iovec part = { .iov_base = out->bytes, .iov_len = out->used };
    const struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };

    memcpy(CMSG_DATA(&control.head), &given, sizeof given);
    return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)out->used;
}

char *ag_lines_next(struct ag_lines *lines)
{
    char *start = lines->bytes + lines->taken;
    const size_t left = lines->used - lines->taken;
    char *end = memchr(start, '\n', left);

    if (end == NULL) {
        lines->too_long = lines->too_long || left == sizeof lines->bytes;
        return NULL;
    }
    if (memchr(start, '\0', (size_t)(end - start)) != NULL) {
        lines->too_long = true;
        return NULL;
    }
    *end = '\0';
    lines->taken += (size_t)(end - start) + 1;
    return start;
}

void ag_out_add(struct ag_out *out, const char *bytes, size_t count)
{
    size_t size = out->size > 0 ? out->size : 512;
    char *grown;

    if (out->failed || count > out->max - out->used) {
        out->failed = true;
        return;
    }
    while (size < out->used + count)
        size *= 2;
    if (size != out->size) {
        grown = realloc(out->bytes, size);
        if (grown == NULL) {
            out->failed = true;
            return;
        }
        out->bytes = grown;
        out->size = size;
    }
    memcpy(out->bytes + out->used, bytes, count);
    out->used += count;
}

void ag_out_print(struct ag_out *out, const char *format, ...)
{
    char line[AG_LINE];
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof line)
        out->failed = true;
    else
        ag_out_add(out, line, (size_t)length);
}

void ag_out_text(struct ag_out *out, char letter, const char *text)
{
    char part[AG_PART + 1], line[3 * AG_PART + 8];
    size_t left = strlen(text);

    do {
        const size_t count = left < AG_PART ? left : AG_PART;
        int length;

        memcpy(part, text, count);
        part[count] = '\0';
        text += count;
        left -= count;
        length = snprintf(line, sizeof line, "%c ", left > 0 ? letter | 0x20 : letter);
        length += (int)ag_encode(line + length, sizeof line - 4, part, true);
        line[length] = '\n';
        ag_out_add(out, line, (size_t)length + 1);
    } while (left > 0);
}

bool ag_out_flush(struct ag_out *out, int fd)
{
    size_t done = 0;
    bool open = true;

    while (done < out->used) {
        const ssize_t sent = send(fd, out->bytes + done, out->used - done, MSG_NOSIGNAL);

        if (sent >= 0) {
            done += (size_t)sent;
        } else if (errno != EINTR) {
            open = errno == EAGAIN || errno == ENOBUFS;
            break;
        }
    }
    if (done > 0)
        memmove(out->bytes, out->bytes + done, out->used - done);
    out->used -= done;
    if (out->used == 0 && out->size > AG_LINE)
        ag_out_free(out);
    return open;
}

void ag_out_free(struct ag_out *out)
{
    free(out->bytes);
    out->bytes = NULL;
    out->used = out->size = 0;
}
