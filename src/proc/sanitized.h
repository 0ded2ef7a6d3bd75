/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_SANITIZED_H
#define CASSATA_PROC_SANITIZED_H

/* Whether this is a build with sanitizers, whose runtime does more. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
