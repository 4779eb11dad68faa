/*
 * The least that a server can do: accept, send, close.
 *
 *     floor PORT FILE LOG LINGER
 *
 * LOG is a file that gets a line per reader, or "-" for none.  LINGER is 1 for a
 * half-close, with the reader's end waited for and what it sends thrown away, and 0
 * for a close at once.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
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
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    char stamp[32], host[INET_ADDRSTRLEN];
    time_t now = time(NULL);
    int fd;

    if (logfile)
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S%z", localtime(&now));
    while ((fd = accept4(listener, (void *)&peer, &length, SOCK_NONBLOCK)) >= 0) {
        if (logfile)
            fprintf(logfile, "%s sending %ld bytes of poetry to %s:%d\n", stamp,
                    (long)size, inet_ntop(AF_INET, &peer.sin_addr, host, sizeof host),
                    ntohs(peer.sin_port));
        sent[fd] = 0;
        step(fd, 0);
    }
    if (logfile)
        fflush(logfile);
}

int main(int argc, char **argv) {
    static struct epoll_event events[EVENTS];
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct rlimit limit;
    struct stat status;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), file;

    if (argc != 5)
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
    address.sin_port = htons(atoi(argv[1]));
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096))
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
