/* request_fields.h - reading single fields of a request. Absent and null are the same: the value stays as it is. */
#ifndef SERVER_REQUEST_FIELDS_H
#define SERVER_REQUEST_FIELDS_H

#include "request.h"

bool field_bool(json_t *object, const char *key, bool *out, request_problem *problem);
/* A whole number in [minimum, maximum]; 3.0 counts as one. */
bool field_integer(json_t *object, const char *key, int64_t minimum, int64_t maximum, int64_t *out,
                   request_problem *problem);
bool field_number(json_t *object, const char *key, double minimum, double maximum, double *out,
                  request_problem *problem);
/* Without zero bytes. */
bool field_text(json_t *object, const char *key, const char **out, request_problem *problem);
/* The object at this key, or NULL where there is none. */
bool field_object(json_t *object, const char *key, json_t **out, request_problem *problem);

#endif
