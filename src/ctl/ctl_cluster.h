/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_CLUSTER_H
#define CASSATA_CTL_CTL_CLUSTER_H

#include "ctl/ctl.h"

/* Prints who is registered in the datastore, of all hosts, whether a daemon
 * runs here or not. An exit code. */
int ctl_cluster(struct ctl *ctl);

#endif
