/* page.h - the files of web/, which are part of the program. */
#ifndef SERVER_PAGE_H
#define SERVER_PAGE_H

typedef struct page_file {
    const char *name, *text;
} page_file;

extern const page_file page_files[]; /* the last has no name */

#endif
