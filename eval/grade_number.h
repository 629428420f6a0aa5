/* grade_number.h - decimal numbers as texts: compared exactly, however many digits they have. */
#ifndef EVAL_GRADE_NUMBER_H
#define EVAL_GRADE_NUMBER_H

/* The one way to write the number that `text` is, in new memory: digits, without thousands' commas, a dollar sign, a
 * plus sign, zeros that say nothing, a dot behind which nothing stands; "-0" is "0". NULL: it is no number, or there is
 * no memory. */
char *eval_number_canonical(const char *text);

#endif
