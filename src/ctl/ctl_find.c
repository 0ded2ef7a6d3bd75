/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_find.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "proc/control_client.h"
#include "proc/control_proto.h"
#include "proc/executable.h"

/* Who holds the lock; 0 for nobody, or -1 with errno. */
static pid_t
lock_holder(int fd)
{
	/* The first byte is the holder's. While another process takes over it
	 * may be free, but not the rest. */
	struct flock lock = {
	    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	int status = fcntl(fd, F_GETLK, &lock);

	if (status == 0 && lock.l_type == F_UNLCK) {
		lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
		status = fcntl(fd, F_GETLK, &lock);
	}
	if (status == -1)
		return -1;
	return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

/*
 * The process that holds the lock of the pid file: 0 for none, -1 with err when
 * that is unknown. The lock tells the truth where a number in a file may be
 * that of another process by now.
 */
static pid_t
holder(const struct ctl *ctl, bool *left_behind, struct err *err)
{
	const char *path = ctl->cfg.master.pid_file;
	struct err reason;
	/* No link: it may lead to a file that a process of root's locks. */
	int fd = file_open(path, O_RDONLY | O_NOFOLLOW, 0, &reason);
	pid_t pid;

	*left_behind = false;
	if (fd == -1 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd == -1)
		return err_set(err, "%s: %s", path, reason.text);
	pid = lock_holder(fd);
	if (pid == -1) {
		(void)err_errno(err, "%s", path);
	} else if (pid > 0 && executable_is_daemon(pid) == 0) {
		(void)err_set(err,
		    "%s is locked by process %ld, which is no cassatad", path,
		    (long)pid);
		pid = -1;
	}
	close(fd);
	*left_behind = pid == 0;
	return pid;
}

int
ctl_ask(const struct ctl *ctl, const char *word, int64_t timeout_ms,
    struct buf *answer, bool *absent, struct err *err)
{
	const struct config_master *cfg = &ctl->cfg.master;
	/* root's master is root, while its children may write in the directory
	 * of the socket. */
	uid_t stranger = geteuid() == 0 && cfg->user != NULL ? cfg->uid : 0;

	return control_ask(cfg->control_socket, stranger, word, timeout_ms,
	    answer, absent, err);
}

struct json_object *
ctl_ask_status(const struct ctl *ctl, bool *absent, struct err *err)
{
	struct json_object *status = NULL;
	struct buf answer;

	buf_init(&answer, CTL_ANSWER_MAX_BYTES);
	if (ctl_ask(ctl, CONTROL_STATUS, CTL_ASK_TIMEOUT_MS, &answer, absent,
		err) == 0) {
		(void)err_set(err, "the daemon's answer is no status");
		if (buf_append_char(&answer, '\0') == 0)
			status = json_tokener_parse(answer.p);
	}
	buf_free(&answer);
	return status;
}

const char *
ctl_text_of(struct json_object *object, const char *name)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, name, &value) || value == NULL)
		return "-";
	return json_object_get_string(value);
}

/* Who answers on the control socket; as holder. */
static pid_t
answerer(const struct ctl *ctl, struct err *err)
{
	bool absent;
	struct json_object *status = ctl_ask_status(ctl, &absent, err), *number;
	pid_t pid = -1;

	if (status == NULL)
		return absent ? 0 : -1;
	if (json_object_object_get_ex(status, "pid", &number))
		pid = (pid_t)json_object_get_int64(number);
	json_object_put(status);
	if (pid <= 0 || executable_is_daemon(pid) == 0) {
		(void)err_set(err,
		    "%s is answered by process %ld, which is no "
		    "cassatad",
		    ctl->cfg.master.control_socket, (long)pid);
		return -1;
	}
	return pid;
}

pid_t
ctl_find(const struct ctl *ctl, bool *left_behind, struct err *err)
{
	pid_t pid = holder(ctl, left_behind, err);

	/* Somebody may have removed the file: the daemon runs all the same. */
	if (pid == 0)
		pid = answerer(ctl, err);
	if (pid != 0)
		*left_behind = false;
	return pid;
}
