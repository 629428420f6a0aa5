/* http_application.h - a small application for tests of the web side of the server.
 *   GET /  a page      GET|POST /echo, GET /below/x, /health (public)  the body, and the path in X-Path
 *   GET /later  201 after a while, from another thread    /hold  an answer that the test gives (app.held)
 *   GET /stream  five events    /endless, /ticks  much or little until the client goes
 *   GET /silent/stream, /silent/plain  nothing */
#ifndef EX_TESTS_HTTP_APPLICATION_H
#define EX_TESTS_HTTP_APPLICATION_H

#include <stdatomic.h>
#include <stdbool.h>

#include "../server/http.h"

typedef struct application {
    atomic_int n_running;   /* threads that still have a reply */
    atomic_int n_gone;      /* streams whose client went */
    atomic_int n_handled;
    atomic_size_t client;   /* of the last request */
    http_reply *_Atomic held;
} application;

extern application app;
extern const char page[];

void rest(int milliseconds);
/* Ten seconds at most. */
bool wait_for(atomic_int *value, int expected);
/* At any free port. */
http_server *start(http_options *options);
http_server *start_plain(void);
/* Closes the server, and waits for the threads. */
void stop(http_server *server);

#endif
