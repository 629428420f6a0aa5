/* well_formed.h - whether a text is well-formed XML, as far as a report uses it. */
#ifndef EX_TESTS_WELL_FORMED_H
#define EX_TESTS_WELL_FORMED_H

/* NULL when it is; otherwise where it is not. Checks that elements nest and end, attributes are quoted and of one kind
 * each, texts hold no raw markup, entities are those of XML, and no control character or broken UTF-8 is in it. */
const char *find_malformed(const char *text);

#endif
