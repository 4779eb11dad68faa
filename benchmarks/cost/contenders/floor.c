/*
 * The least that a server can do: accept, send, close.
 *
 *     floor ADDRESS FILE LOG LINGER [LOW-WATER]
 *
 * ADDRESS is that of address.h.  LOG is a file that gets a line for each reader, or
 * "-" for none.  With LINGER 1 it half-closes, waits for the reader's end, and throws
 * away what the reader sends; with 0 it closes at once.  LOW-WATER is how many bytes
 * the kernel may hold that it has not sent yet (TCP_NOTSENT_LOWAT).
 */
#define _GNU_SOURCE
#include "../address.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DESCRIPTORS (1 << 20)
#define EVENTS 1024

static char *poem;
static off_t size, sent[DESCRIPTORS];
static int poll_fd, lingers;
static FILE *logfile;

static void watch(int fd, int operation, unsigned what) {
    struct epoll_event event = {.events = what, .data.fd = fd};
    epoll_ctl(poll_fd, operation, fd, &event);
}

/* Send what is left.  How it is watched after that is the caller's. */
static void step(int fd, int is_watched) {
    char rest[4096];
    int operation = is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    ssize_t n;

    if (sent[fd] == size) {
        n = recv(fd, rest, sizeof rest, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            close(fd);
        return;
    }
    n = send(fd, poem + sent[fd], size - sent[fd], MSG_NOSIGNAL);
    if (n >= 0)
        sent[fd] += n;
    else if (errno != EAGAIN)
        sent[fd] = size;
    if (sent[fd] < size) {
        watch(fd, operation, EPOLLOUT);
    } else if (lingers) {
        shutdown(fd, SHUT_WR);
        watch(fd, operation, EPOLLIN);
    } else {
        close(fd);
    }
}

static void let_in(int listener) {
    union address peer;
    socklen_t length = sizeof peer;
    char stamp[32], host[INET_ADDRSTRLEN] = "a UNIX socket";
    int port = 0;
    time_t now = time(NULL);
    int fd;

    if (logfile)
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S%z", localtime(&now));
    while ((fd = accept4(listener, &peer.any, &length, SOCK_NONBLOCK)) >= 0) {
        if (logfile && peer.any.sa_family == AF_INET) {
            inet_ntop(AF_INET, &peer.in.sin_addr, host, sizeof host);
            port = ntohs(peer.in.sin_port);
        }
        if (logfile)
            fprintf(logfile, "%s sending %ld bytes of poetry to %s:%d\n", stamp,
                    (long)size, host, port);
        length = sizeof peer;
        sent[fd] = 0;
        step(fd, 0);
    }
    if (logfile)
        fflush(logfile);
}

int main(int argc, char **argv) {
    static struct epoll_event events[EVENTS];
    union address address;
    socklen_t length;
    struct rlimit limit;
    struct stat status;
    int on = 1, listener, file, low;

    if (argc < 5 || (length = parse_address(argv[1], &address)) == 0)
        return 2;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    file = open(argv[2], O_RDONLY);
    if (file < 0 || fstat(file, &status) < 0)
        return 1;
    size = status.st_size;
    poem = malloc(size + 1);
    for (off_t n, at = 0; at < size; at += n)
        if ((n = read(file, poem + at, size - at)) <= 0)
            return 1;
    if (*argv[3] != '-')
        logfile = fopen(argv[3], "a");
    lingers = atoi(argv[4]);
    listener = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (argc > 5) {
        low = atoi(argv[5]);
        setsockopt(listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low, sizeof low);
    }
    if (bind(listener, &address.any, length) || listen(listener, 4096))
        return 1;
    poll_fd = epoll_create1(0);
    watch(listener, EPOLL_CTL_ADD, EPOLLIN);
    for (;;) {
        int count = epoll_wait(poll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                let_in(listener);
            else
                step(events[i].data.fd, 1);
        }
    }
}
