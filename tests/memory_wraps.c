/* memory_wraps.c - for MemorySanitizer, which does not see what a library that was built without it has written: tells
 * it what utf8proc and PCRE2 wrote for their callers. Linked with --wrap. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <sanitizer/msan_interface.h>
#include <utf8proc.h>

utf8proc_ssize_t __real_utf8proc_decompose_char(utf8proc_int32_t code, utf8proc_int32_t *out, utf8proc_ssize_t room,
                                                utf8proc_option_t options, int *last_boundary);
utf8proc_ssize_t __wrap_utf8proc_decompose_char(utf8proc_int32_t code, utf8proc_int32_t *out, utf8proc_ssize_t room,
                                                utf8proc_option_t options, int *last_boundary);
int __real_pcre2_match_8(const pcre2_code *code, PCRE2_SPTR subject, PCRE2_SIZE length, PCRE2_SIZE start,
                         uint32_t options, pcre2_match_data *match, pcre2_match_context *context);
int __wrap_pcre2_match_8(const pcre2_code *code, PCRE2_SPTR subject, PCRE2_SIZE length, PCRE2_SIZE start,
                         uint32_t options, pcre2_match_data *match, pcre2_match_context *context);
int __real_pcre2_pattern_info_8(const pcre2_code *code, uint32_t what, void *where);
int __wrap_pcre2_pattern_info_8(const pcre2_code *code, uint32_t what, void *where);

utf8proc_ssize_t __wrap_utf8proc_decompose_char(utf8proc_int32_t code, utf8proc_int32_t *out, utf8proc_ssize_t room,
                                                utf8proc_option_t options, int *last_boundary) {
    const utf8proc_ssize_t count = __real_utf8proc_decompose_char(code, out, room, options, last_boundary);
    if (count > 0) __msan_unpoison(out, sizeof *out * (size_t)(count < room ? count : room));
    return count;
}

int __wrap_pcre2_match_8(const pcre2_code *code, PCRE2_SPTR subject, PCRE2_SIZE length, PCRE2_SIZE start,
                         uint32_t options, pcre2_match_data *match, pcre2_match_context *context) {
    int status = __real_pcre2_match_8(code, subject, length, start, options, match, context);
    __msan_unpoison(&status, sizeof status); /* a callout of ours has run in between */
    __msan_unpoison(pcre2_get_ovector_pointer(match), 2 * sizeof(PCRE2_SIZE) * pcre2_get_ovector_count(match));
    return status;
}

int __wrap_pcre2_pattern_info_8(const pcre2_code *code, uint32_t what, void *where) {
    const int status = __real_pcre2_pattern_info_8(code, what, where);
    if (status == 0 && where) __msan_unpoison(where, sizeof(uint32_t));
    return status;
}
