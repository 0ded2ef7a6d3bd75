/* SPDX-License-Identifier: ISC */
#include "config/config_load.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/file.h"
#include "config/config_check.h"
#include "config/config_key.h"
#include "config/config_yaml.h"

#define AT(field) offsetof(struct config, field)

enum {
	FILE_BYTES_MAX = 1024 * 1024,
	FILE_NAME_SIZE = 40,
};

static_assert((int)CONFIG_VALUES_MAX == (int)RETRY_DELAYS_MAX &&
		  (int)CONFIG_VALUES_MAX == (int)CONFIG_STRINGS_MAX,
    "a list is as long as the file may make it");

struct load {
	const char *file; /* NULL: none */
	/* Where the user of the children can write, who must not tell root what
	 * to do. */
	bool in_state_dir;
	struct config *cfg;
	struct config_errors *errors;
	const struct config_key *section; /* the first key of the present one */
	/* The list of records that is read, and the record, or NULL. */
	const struct config_key *records;
	void *record;
	struct config_mark record_at;
	struct config_mark field_at[CONFIG_FIELDS_MAX];
	struct config_mark key_at[CONFIG_KEYS_MAX];
	struct config_mark
	    section_at[CONFIG_KEYS_MAX]; /* by the first key of each */
};

static const struct config_mark nowhere = {0, 0};

static void
unknown_section(struct load *ld, const struct config_text *name)
{
	const struct config_key *key = config_key_find(NULL, name->text);
	const char *near = config_key_nearest(NULL, name->text);

	if (key != NULL)
		config_error(ld->errors, ld->file, name->at,
		    "unknown section '%s'; it is a key of section '%s'",
		    name->text, key->section);
	else if (near != NULL)
		config_error(ld->errors, ld->file, name->at,
		    "unknown section '%s'; did you mean '%s'?", name->text,
		    near);
	else
		config_error(ld->errors, ld->file, name->at,
		    "unknown section '%.40s'", name->text);
}

static bool
on_section(void *arg, const struct config_text *name)
{
	struct load *ld = arg;
	struct config_mark *at;

	ld->section = config_section_find(name->text);
	if (ld->section == NULL) {
		unknown_section(ld, name);
		return false;
	}
	at = &ld->section_at[ld->section - config_keys];
	if (at->line != 0)
		config_error(ld->errors, ld->file, name->at,
		    "duplicate section '%s', first in line %zu", name->text,
		    at->line);
	else
		*at = name->at;
	return true;
}

static void
unknown_key(struct load *ld, const struct config_text *name)
{
	const char *section = ld->section->section, *near;

	if (ld->record != NULL) {
		section = ld->records->name;
		near = config_field_nearest(ld->records, name->text);
	} else {
		near = config_key_nearest(section, name->text);
	}
	if (near != NULL)
		config_error(ld->errors, ld->file, name->at,
		    "unknown key '%s' in %s; did you mean '%s'?", name->text,
		    section, near);
	else
		config_error(ld->errors, ld->file, name->at,
		    "unknown key '%.40s' in %s", name->text, section);
}

/* The key of that name where we are, which is not there yet; NULL for none, and
 * for errors, which it reports. */
static const struct config_key *
take_key(struct load *ld, const struct config_text *name)
{
	const struct config_key *key;
	struct config_mark *at;

	if (ld->record != NULL)
		key = config_field_find(ld->records, name->text);
	else
		key = config_key_find(ld->section->section, name->text);
	if (key == NULL) {
		unknown_key(ld, name);
		return NULL;
	}
	at = ld->record != NULL ? &ld->field_at[key - ld->records->list->fields]
				: &ld->key_at[key - config_keys];
	if (at->line != 0) {
		config_error(ld->errors, ld->file, name->at,
		    "duplicate key '%s' in %s, first in line %zu", key->name,
		    key->section, at->line);
		return NULL;
	}
	*at = name->at;
	return key;
}

/* One value, or the entries of the list that the key wants. */
static void
set_values(struct load *ld, const struct config_key *key,
    const struct config_setting *setting)
{
	void *base = ld->record != NULL ? ld->record : ld->cfg;
	struct err err;

	if (setting->list && (setting->n < 1 || setting->n > key->list->max)) {
		config_error(ld->errors, ld->file, setting->at,
		    "%s must have 1 to %zu entries, not %zu", key->name,
		    key->list->max, setting->n);
		return;
	}
	if (setting->list)
		config_key_clear(key, base);
	for (size_t i = 0; i < setting->n; i++)
		if (config_key_set(key, base, setting->values[i].text, &err) ==
		    -1)
			config_error(ld->errors, ld->file,
			    setting->values[i].at, "%s %s", key->name,
			    err.text);
}

static void
on_setting(void *arg, const struct config_setting *setting)
{
	struct load *ld = arg;
	const struct config_key *key = take_key(ld, &setting->name);
	bool null = !setting->list && setting->values[0].null;
	bool of_records = key != NULL && key->kind == KIND_RECORD;

	if (key == NULL)
		return;
	if (null && (key->value != NULL || ld->record != NULL))
		config_error(ld->errors, ld->file, setting->at,
		    "%s has no value", key->name);
	else if (!null && key->list != NULL &&
		 (!setting->list || (of_records && setting->n > 0)))
		config_error(ld->errors, ld->file, setting->at,
		    "%s must be a list such as %s", key->name,
		    key->list->example);
	else if (setting->list && key->list == NULL)
		config_error(ld->errors, ld->file, setting->at,
		    "%s must be %s, not a list", key->name,
		    config_key_form(key));
	else if (!null && !of_records)
		set_values(ld, key, setting);
}

static bool
on_records(void *arg, const struct config_text *name, struct config_mark there)
{
	struct load *ld = arg;
	const struct config_key *key = take_key(ld, name);

	if (key == NULL)
		return false;
	if (key->kind == KIND_RECORD) {
		ld->records = key;
		return true;
	}
	if (key->list != NULL)
		config_error(ld->errors, ld->file, there,
		    "%s must be a list such as %s", key->name,
		    key->list->example);
	else
		config_error(ld->errors, ld->file, there,
		    "%s must be %s, not a list", key->name,
		    config_key_form(key));
	return false;
}

static bool
on_record(void *arg, struct config_mark there)
{
	struct load *ld = arg;
	const struct config_list *list = ld->records->list;
	struct err err;

	if (config_key_n_items(ld->records, ld->cfg) == list->max) {
		config_error(ld->errors, ld->file, there,
		    "%s must not have more than %zu entries", ld->records->name,
		    list->max);
		return false;
	}
	check(ld->record == NULL && list->n_fields <= CONFIG_FIELDS_MAX);
	ld->record = config_key_add_record(ld->records, ld->cfg);
	ld->record_at = there;
	memset(ld->field_at, 0, sizeof(ld->field_at));
	for (size_t i = 0; i < list->n_fields; i++)
		if (config_key_set_default(
			&list->fields[i], ld->record, &err) == -1)
			config_error(ld->errors, ld->file, there,
			    "default of %s %s", list->fields[i].name, err.text);
	return true;
}

static void
on_record_end(void *arg)
{
	struct load *ld = arg;
	const struct config_list *list = ld->records->list;

	for (size_t i = 0; i < list->n_fields; i++)
		if (list->fields[i].value == NULL && ld->field_at[i].line == 0)
			config_error(ld->errors, ld->file, ld->record_at,
			    "%s needs a %s", ld->records->name,
			    list->fields[i].name);
	ld->record = NULL;
}

/* Or it cannot be looked at, and reading it tells why. */
static bool
is_roots(int fd)
{
	struct stat st;

	return fstat(fd, &st) == -1 ||
	       (st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0);
}

static void
load_file(struct load *ld)
{
	const struct config_handler handler = {
	    on_section, on_setting, on_records, on_record, on_record_end, ld};
	bool guarded = ld->in_state_dir && geteuid() == 0;
	struct err reason;
	int fd = file_open(
	    ld->file, O_RDONLY | (guarded ? O_NOFOLLOW : 0), 0, &reason);
	size_t len = 0;
	char *text = NULL;

	if (guarded && fd != -1 && !is_roots(fd)) {
		config_error(ld->errors, ld->file, nowhere,
		    "must belong to root, and nobody else may write to it, "
		    "unless it is named by -c");
		fd_close(&fd);
		return;
	}
	if (fd != -1)
		text = file_read(fd, FILE_BYTES_MAX, &len, &reason);
	if (text == NULL)
		config_error(ld->errors, ld->file, nowhere,
		    "cannot be read: %s", reason.text);
	else
		config_yaml_read(ld->file, text, len, &handler, ld->errors);
	free(text);
}

/* The state directory as the caller or the environment has it, or NULL. */
static const char *
given_state_dir(const struct config_source *source)
{
	const char *home = getenv("CASSATA_HOME");

	if (source->state_dir != NULL)
		return source->state_dir;
	return home != NULL && *home != '\0' ? home : NULL;
}

/* One that cannot be looked at is there, too: reading it gives the reason. */
static bool
is_there(const char *path)
{
	return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* The file to read, perhaps in buf; NULL: none. */
static const char *
choose_file(const struct config_source *source, char *buf, size_t size)
{
	const char *dir = given_state_dir(source);

	if (source->file != NULL)
		return source->file;
	if (dir != NULL &&
	    (size_t)snprintf(buf, size, "%s/cassata.yaml", dir) < size &&
	    is_there(buf))
		return buf;
	return is_there(CASSATA_CONFIG_FILE) ? CASSATA_CONFIG_FILE : NULL;
}

/* Makes *target the path, which starts in dir when it is relative. */
static int
complete_path_from(char **target, const char *dir, const char *path)
{
	char *whole;

	if (asprintf(&whole, "%s%s%s", *path == '/' ? "" : dir,
		*path == '/' ? "" : "/", path) == -1)
		return -1;
	free(*target);
	*target = whole;
	return 0;
}

static int
complete_state_dir(struct config_master *master, const char *given)
{
	const char *path = given != NULL ? given : master->state_dir;
	char *cwd;
	int rc;

	if (path == NULL)
		path = CASSATA_STATE_DIR;
	cwd = getcwd(NULL, 0);
	if (cwd == NULL && *path != '/')
		return -1;
	rc = complete_path_from(&master->state_dir, cwd, path);
	free(cwd);
	return rc;
}

/* 0, or -1 with errno. */
static int
complete_paths(struct config *cfg, const struct config_source *source)
{
	static const char *const programs[] = {
	    [CONFIG_ALL] = "cassatad",
	    [CONFIG_SERVICE_ONLY] = "cassatad-service",
	    [CONFIG_WORKER_ONLY] = "cassatad-worker",
	};
	struct config_master *master = &cfg->master;
	char name[FILE_NAME_SIZE];

	if (complete_state_dir(master, given_state_dir(source)) == -1)
		return -1;
	(void)snprintf(name, sizeof(name), "%s.pid", programs[source->roles]);
	if (master->pid_file == NULL && complete_path_from(&master->pid_file,
					    master->state_dir, name) == -1)
		return -1;
	(void)snprintf(name, sizeof(name), "%s.sock", programs[source->roles]);
	if (master->control_socket == NULL &&
	    complete_path_from(
		&master->control_socket, master->state_dir, name) == -1)
		return -1;
	(void)snprintf(name, sizeof(name), "%s.frozen", programs[source->roles]);
	if (complete_path_from(
		&master->frozen_file, master->state_dir, name) == -1)
		return -1;
	for (size_t i = 0; i < config_n_keys; i++) {
		const struct config_key *key = &config_keys[i];
		char **path;

		if (key->kind != KIND_PATH && key->kind != KIND_DESTINATION)
			continue;
		path = config_key_target(key, cfg);
		if (*path == NULL || (key->kind == KIND_DESTINATION &&
					 (strcmp(*path, "stderr") == 0 ||
					     strcmp(*path, "syslog") == 0)))
			continue;
		if (complete_path_from(path, master->state_dir, *path) == -1)
			return -1;
	}
	return 0;
}

int
config_load(const struct config_source *source, struct config *cfg,
    struct config_errors *errors)
{
	char file[PATH_MAX];
	struct load ld = {.cfg = cfg, .errors = errors};
	struct config_check check = {
	    .cfg = cfg, .key_at = ld.key_at, .errors = errors};
	struct err err;

	memset(cfg, 0, sizeof(*cfg));
	if (config_errors_init(errors) == -1)
		return -1;
	ld.file = choose_file(source, file, sizeof(file));
	check.file = ld.file;
	ld.in_state_dir = ld.file == file;
	for (size_t i = 0; i < config_n_keys; i++)
		if (config_key_set_default(&config_keys[i], cfg, &err) == -1)
			config_error(errors, ld.file, nowhere,
			    "default of %s %s", config_keys[i].name, err.text);
	if (ld.file != NULL) {
		cfg->file = strdup(ld.file);
		if (cfg->file == NULL)
			config_error(errors, ld.file, nowhere, "out of memory");
		load_file(&ld);
	}
	/* The daemon, which changes its directory, and cassatactl would read
	 * different places out of one file. */
	if (cfg->master.state_dir != NULL && cfg->master.state_dir[0] != '/')
		config_error(errors, ld.file,
		    config_mark_of(&check, AT(master.state_dir)),
		    "stateDirectory must be an absolute path, not '%s'",
		    cfg->master.state_dir);
	if (complete_paths(cfg, source) == -1)
		config_error(errors, ld.file, nowhere,
		    "the state directory cannot be found: %s", strerror(errno));
	/* what the values mean together is known when each one is */
	if (errors->len == 0)
		config_check(&check);
	if (errors->len > 0)
		return -1;
	config_errors_free(errors);
	return 0;
}

static void
wipe(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
}

void
config_free(struct config *cfg)
{
	sql_place_free(&cfg->datastore.place);
	wipe(cfg->datastore.url);
	wipe(cfg->datastore.password);
	for (size_t i = 0; i < config_n_keys; i++)
		config_key_clear(&config_keys[i], cfg);
	free(cfg->datastore.password);
	free(cfg->master.frozen_file);
	free(cfg->file);
	memset(cfg, 0, sizeof(*cfg));
}
