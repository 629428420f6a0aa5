/* routes.c - every endpoint. */
#include "server_parts.h"

const http_route server_routes[] = {
    {"GET", "/", true, handle_page},
    {"GET", "/assets/*", true, handle_page},
    {"GET", "/health", true, handle_health},
    {"GET", "/v1/health", true, handle_health},
    {"GET", "/models", false, handle_models},
    {"GET", "/v1/models", false, handle_models},
    {"GET", "/v1/models/*", false, handle_model},
    {"POST", "/v1/chat/completions", false, handle_chat},
    {"POST", "/chat/completions", false, handle_chat},
    {"POST", "/v1/completions", false, handle_completion},
    {"POST", "/tokenize", false, handle_tokenize},
    {"POST", "/detokenize", false, handle_detokenize},
    {"GET", "/props", false, handle_props},
    {"GET", "/metrics", false, handle_metrics},
    {"POST", "/v1/sampler/decide", false, handle_decide},
    {"GET", "/v1/entropix", false, handle_entropix},
    {"POST", "/v1/traces/*", false, handle_replay},
    {"GET", "/v1/traces/*", false, handle_trace},
    {0},
};
