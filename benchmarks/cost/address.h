/*
 * Where a server listens: HOST:PORT, or the path of a UNIX socket, which has a slash.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
};

/* The length is 0 when the text is no address. */
static socklen_t parse_address(const char *text, union address *address) {
    char host[INET_ADDRSTRLEN] = "";
    const char *colon = strrchr(text, ':');

    memset(address, 0, sizeof *address);
    if (strchr(text, '/')) {
        if (strlen(text) >= sizeof address->un.sun_path)
            return 0;
        address->un.sun_family = AF_UNIX;
        strcpy(address->un.sun_path, text);
        return sizeof address->un;
    }
    if (colon == NULL || colon - text >= (long)sizeof host)
        return 0;
    memcpy(host, text, colon - text);
    address->in.sin_family = AF_INET;
    address->in.sin_port = htons(atoi(colon + 1));
    return inet_pton(AF_INET, host, &address->in.sin_addr) == 1 ? sizeof address->in : 0;
}
