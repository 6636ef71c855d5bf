/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "text.h"

#define MEASURE_MS 500 /* shorter spans make the rate jump */
#define BAR 20
#define BAR_COLUMNS 72 /* terminals from this width on have room for the bar */
#define LINE 256

void ag_progress_start(struct ag_progress *progress, FILE *out)
{
    struct winsize size;

    *progress = (struct ag_progress){ .columns = 80 };
    if (isatty(fileno(out)) != 1)
        return;
    progress->out = out;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        progress->columns = size.ws_col;
}

/* Bytes a second, three parts old to one part new. */
static void measure(struct ag_progress *progress, uint32_t phase, uint64_t done, uint64_t now_ms)
{
    uint64_t span, fresh;

    if (phase != progress->phase || done < progress->since_bytes || now_ms < progress->since_ms) {
        progress->phase = phase;
        progress->since_ms = now_ms;
        progress->since_bytes = done;
        progress->rate = 0;
        return;
    }
    span = now_ms - progress->since_ms;
    if (span < MEASURE_MS)
        return;
    fresh = (uint64_t)((double)(done - progress->since_bytes) * 1000.0 / (double)span);
    progress->rate = progress->rate == 0 ? fresh : progress->rate - progress->rate / 4 + fresh / 4;
    progress->since_ms = now_ms;
    progress->since_bytes = done;
}

void ag_progress_subject(char *out, size_t size, const struct ag_progress *progress,
                         const defupd_event *event)
{
    static const char *const verbs[] = { "", "reading metadata ", "", "unpacking ", "verifying " };
    const char *verb = event->phase < sizeof verbs / sizeof verbs[0] ? verbs[event->phase] : "";

    if (event->component != NULL && event->version != 0)
        (void)snprintf(out, size, "%s%s %" PRIu64 " ", verb, event->component, event->version);
    else if (event->component != NULL)
        (void)snprintf(out, size, "%s%s ", verb, event->component);
    else if (event->phase == DEFUPD_PHASE_DOWNLOAD)
        (void)snprintf(out, size, "%s ", progress->fetching > 0 ? progress->what : "downloading");
    else
        (void)snprintf(out, size, "%s", verb);
}

/* Bytes of a download are those of all components together: name the one, or count them. */
static void note_fetching(struct ag_progress *progress, const defupd_event *event)
{
    progress->fetching++;
    if (progress->fetching > 1)
        (void)snprintf(progress->what, sizeof progress->what, "%u components", progress->fetching);
    else
        (void)snprintf(progress->what, sizeof progress->what, "%s %" PRIu64,
                       event->component != NULL ? event->component : "", event->version);
}

static void amounts(char *out, size_t size, const struct ag_progress *progress, uint64_t done,
                    uint64_t total)
{
    char bytes[AG_AMOUNT], clock[AG_AMOUNT] = "--:--", speed[AG_AMOUNT + 3] = "";
    char bar[BAR + 4] = "";
    double part;

    if (progress->rate > 0)
        (void)snprintf(speed, sizeof speed, " %s/s", ag_bytes(bytes, progress->rate));
    if (total == 0) {
        (void)snprintf(out, size, " %s%s", ag_bytes(bytes, done), speed);
        return;
    }
    part = (double)done / (double)total;
    if (part > 1)
        part = 1;
    if (progress->columns >= BAR_COLUMNS) {
        memset(bar, '.', BAR + 2);
        memset(bar + 1, '#', (size_t)(part * BAR));
        bar[0] = '[';
        bar[BAR + 1] = ']';
        bar[BAR + 2] = ' ';
    }
    if (done >= total)
        (void)ag_clock(clock, 0);
    else if (progress->rate > 0)
        (void)ag_clock(clock, (total - done) / progress->rate);
    (void)snprintf(out, size, "%s%3u%%%s %s ETA", bar, (unsigned)(part * 100), speed, clock);
}

void ag_progress_draw(struct ag_progress *progress, const char *who, uint32_t phase, uint64_t done,
                      uint64_t total, uint64_t now_ms)
{
    char rest[LINE / 2], line[LINE];
    unsigned length;

    if (progress->out == NULL)
        return;
    measure(progress, phase, done, now_ms);
    amounts(rest, sizeof rest, progress, done, total);
    (void)snprintf(line, sizeof line, "%.*s%s", LINE / 2, who, rest);
    ag_clean(line);
    length = (unsigned)strlen(line);
    /* The last column stays free: writing there makes some terminals go to the next line. */
    if (length >= progress->columns)
        length = progress->columns - 1;
    (void)fprintf(progress->out, "\r%.*s", (int)length, line);
    if (progress->drawn > length)
        (void)fprintf(progress->out, "%*s\r%.*s", (int)(progress->drawn - length), "", (int)length,
                      line);
    progress->drawn = length;
    (void)fflush(progress->out);
}

void ag_progress_event(struct ag_progress *progress, const defupd_event *event, uint64_t now_ms)
{
    char who[LINE / 2];

    if (event->id == DEFUPD_EVENT_DOWNLOADING)
        note_fetching(progress, event);
    if (progress->out == NULL || event->id != DEFUPD_EVENT_PROGRESS)
        return;
    ag_progress_subject(who, sizeof who, progress, event);
    ag_progress_draw(progress, who, event->phase, event->bytes_done, event->bytes_total, now_ms);
}

void ag_progress_clear(struct ag_progress *progress)
{
    if (progress->out == NULL || progress->drawn == 0)
        return;
    (void)fprintf(progress->out, "\r%*s\r", (int)progress->drawn, "");
    (void)fflush(progress->out);
    progress->drawn = 0;
}
