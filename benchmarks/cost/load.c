/*
 * Readers of one server: so many at once, until so many poems have come.
 *
 *     load ADDRESS FILE POEMS READERS
 *
 * ADDRESS is that of address.h.  Compiled with TLS defined, the readers talk TLS.
 * Every byte is compared with FILE, and the connection must end cleanly after the
 * last.  Prints one line of JSON: what became of the readers, how many seconds it
 * took, quantiles of the time from connect() to the end, in microseconds, and how many
 * tickets for another TLS session came.
 */
#define _GNU_SOURCE
#include "address.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* One that sees nothing happen for so many milliseconds is given up. */
#define PATIENCE 20000
#define GULP (256 * 1024)

#ifdef TLS
#include "tls.h"
/* TLS has to send first, and reads until nothing is left. */
#define EVENTS (EPOLLIN | EPOLLOUT | EPOLLET)
#else
/* What tls.h has, for readers with nothing between them and the socket. */
#define EVENTS EPOLLIN
typedef int session;
static long tickets;

static void prepare(void) {}

static session enter(int fd) { return fd; }

static ssize_t receive(session own, void *buffer, size_t size) {
    return recv(own, buffer, size, MSG_DONTWAIT);
}

/* What could not fill the buffer may well be the last. */
static int may_have_more(ssize_t n) { return n == GULP; }

static void leave(session own) { (void)own; }
#endif

struct reader {
    int fd;
    session session;
    long got;
    double since;
};

static union address server;
static socklen_t length;
static char *poem, buffer[GULP];
static long size, wanted, begun, ended;
static long whole, cut, differs, resets, errors;
static double *latencies;
static int poll_fd;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* Begin to read another poem, if one is wanted still. */
static void begin(struct reader *reader) {
    reader->fd = -1;
    while (begun < wanted) {
        struct epoll_event event = {.events = EVENTS, .data.ptr = reader};
        int may_not_wait = server.any.sa_family == AF_UNIX ? 0 : SOCK_NONBLOCK;
        begun++;
        reader->got = 0;
        /* A UNIX socket that has no room for another is waited for. */
        reader->fd = socket(server.any.sa_family, SOCK_STREAM | may_not_wait, 0);
        if (reader->fd < 0)
            fail("socket");
        reader->session = enter(reader->fd);
        reader->since = now();
        if (connect(reader->fd, &server.any, length) == 0 || errno == EINPROGRESS) {
            if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, reader->fd, &event) < 0)
                fail("epoll_ctl");
            return;
        }
        errors++;
        ended++;
        leave(reader->session);
        close(reader->fd);
    }
}

static void end(struct reader *reader, long *outcome) {
    latencies[whole] = now() - reader->since;
    ++*outcome;
    ended++;
    leave(reader->session);
    close(reader->fd);
    begin(reader);
}

static void step(struct reader *reader) {
    for (;;) {
        ssize_t n = receive(reader->session, buffer, GULP);
        if (n > 0) {
            if (reader->got + n > size ||
                memcmp(poem + reader->got, buffer, n) != 0) {
                end(reader, &differs);
                return;
            }
            reader->got += n;
            if (!may_have_more(n) && reader->got < size)
                return;
        } else if (n == 0) {
            end(reader, reader->got == size ? &whole : &cut);
            return;
        } else if (errno == EAGAIN) {
            return;
        } else {
            end(reader, errno == ECONNRESET ? &resets : &errors);
            return;
        }
    }
}

static int compare(const void *a, const void *b) {
    double x = *(double *)a, y = *(double *)b;
    return (x > y) - (x < y);
}

static double quantile(double q) {
    return whole ? latencies[(long)(q * (whole - 1))] * 1e6 : 0.0;
}

int main(int argc, char **argv) {
    struct epoll_event events[256];
    struct reader *readers;
    struct stat status;
    double started, seconds;
    int file, count;

    if (argc != 5) {
        fprintf(stderr, "usage: load ADDRESS FILE POEMS READERS\n");
        return 2;
    }
    length = parse_address(argv[1], &server);
    wanted = atol(argv[3]);
    count = atoi(argv[4]);
    file = open(argv[2], O_RDONLY);
    if (length == 0 || file < 0 || fstat(file, &status) < 0)
        fail(length ? argv[2] : argv[1]);
    size = status.st_size;
    poem = malloc(size + 1);
    latencies = malloc((wanted + 1) * sizeof *latencies);
    readers = calloc(count, sizeof *readers);
    for (long n, at = 0; at < size; at += n)
        if ((n = read(file, poem + at, size - at)) <= 0)
            fail(argv[2]);
    poll_fd = epoll_create1(0);
    prepare();

    started = now();
    for (int i = 0; i < count; i++)
        begin(&readers[i]);
    while (ended < wanted) {
        int n = epoll_wait(poll_fd, events, 256, PATIENCE);
        if (n == 0)
            break;
        for (int i = 0; i < n; i++)
            step(events[i].data.ptr);
    }
    seconds = now() - started;

    qsort(latencies, whole, sizeof *latencies, compare);
    printf("{\"whole\": %ld, \"cut\": %ld, \"differs\": %ld, \"resets\": %ld, "
           "\"errors\": %ld, \"hung\": %ld, \"seconds\": %.6f, \"p50\": %.1f, "
           "\"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f, \"tickets\": %ld}\n",
           whole, cut, differs, resets, errors, wanted - ended, seconds,
           quantile(0.5), quantile(0.99), quantile(0.999), quantile(1.0), tickets);
    return 0;
}
