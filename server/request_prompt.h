/* request_prompt.h - the prompt of a request as tokens: messages through the model's chat template, or a text. */
#ifndef SERVER_REQUEST_PROMPT_H
#define SERVER_REQUEST_PROMPT_H

#include "request.h"

/* Fills `tokens`. A request that forks may have no prompt. */
bool request_prompt(completion_request *request, const request_limits *limits, request_problem *problem);

#endif
