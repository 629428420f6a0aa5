/* template_filters.h - the rows of template_filters_list.c. */
#ifndef EX_TEXT_TEMPLATE_FILTERS_H
#define EX_TEXT_TEMPLATE_FILTERS_H

#include "text/template_run.h"

extern const ex_jinja_function ex_jinja_list_filters[];
extern const size_t ex_jinja_n_list_filters;

#endif
