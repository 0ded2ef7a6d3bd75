/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_EXECUTABLE_H
#define CASSATA_PROC_EXECUTABLE_H

#include <sys/types.h>

/*
 * Whether the name of the file that a process runs holds "cassatad", also after
 * an update has replaced it. 1 or 0; -1 when there is nothing to see: the
 * process is gone, or somebody else's, or there is no /proc.
 */
int executable_is_daemon(pid_t pid);

#endif
