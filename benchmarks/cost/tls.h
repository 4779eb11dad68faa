/*
 * How a reader of load.c talks TLS.  It offers one version, group, cipher and hash, so
 * they are the same with every server.  It takes up no earlier session, and whose
 * certificate it is, is not asked.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>

#define CIPHER "TLS_AES_128_GCM_SHA256"
#define GROUP "X25519"
#define SIGNATURES "ECDSA+SHA256:RSA-PSS+SHA256"

typedef SSL *session;

static SSL_CTX *context;
static long tickets;

static int count_ticket(SSL *ssl, SSL_SESSION *ticket) {
    (void)ssl, (void)ticket;
    tickets++;
    return 0;
}

/* Once, before all readers. */
static void prepare(void) {
    signal(SIGPIPE, SIG_IGN);
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_session_cache_mode(
        context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, count_ticket);
    if (!SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, CIPHER) ||
        !SSL_CTX_set1_groups_list(context, GROUP) ||
        !SSL_CTX_set1_sigalgs_list(context, SIGNATURES)) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
}

static session enter(int fd) {
    session own = SSL_new(context);
    SSL_set_fd(own, fd);
    SSL_set_connect_state(own);
    return own;
}

/* Like recv(), with 0 for close_notify alone: an end without it is an error. */
static ssize_t receive(session own, void *buffer, size_t size) {
    int n;

    ERR_clear_error();
    n = SSL_read(own, buffer, size);
    if (n > 0)
        return n;
    switch (SSL_get_error(own, n)) {
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        break;
    case SSL_ERROR_SSL:
        errno = EPROTO;
    }
    return -1;
}

/* A record is all that is read at once, so there may always be another. */
static int may_have_more(ssize_t n) {
    (void)n;
    return 1;
}

static void leave(session own) {
    SSL_shutdown(own);
    SSL_free(own);
}
