// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/output.h"
#include "base/clock.h"

/* Each test has a folder of its own, which is the working directory. */
static int setup(void **state)
{
	char *folder = strdup("/tmp/sonde-test-output.XXXXXX");

	if (!mkdtemp(folder) || chdir(folder) < 0)
		return -1;
	umask(0);
	*state = folder;
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = { "a/r", "b/r", "r" }, *const folders[] = { "a", "b" },
				 *const links[] = { "d", "e" };

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		unlink(files[i]);
	for (size_t i = 0; i < 2; i++) {
		unlink(links[i]);
		rmdir(folders[i]);
	}
	if (chdir("/") < 0 || rmdir(*state) < 0)
		return -1;
	free(*state);
	return 0;
}

static void make(const char *path, mode_t mode, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void assert_holds(const char *path, const char *text)
{
	char got[100] = "";
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	close(fd);
	assert_string_equal(got, text);
}

/* A child that does nothing but give "d" the one meaning and the other. */
static pid_t start_exchanging(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (renameat2(AT_FDCWD, "d", AT_FDCWD, "e", RENAME_EXCHANGE) == 0)
		;
	_exit(1);
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Whoever may rename a folder of the path must not give a file the mode of another folder's. */
static void the_folder_is_looked_up_once(void **state)
{
	uint64_t end_ns;
	pid_t pid;

	assert_int_equal(mkdir("a", 0755), 0);
	assert_int_equal(mkdir("b", 0755), 0);
	make("a/r", 0666, "");
	make("b/r", 0600, "");
	assert_int_equal(symlink("a", "d"), 0);
	assert_int_equal(symlink("b", "e"), 0);
	pid = start_exchanging();
	end_ns = clock_boot_ns() + 2 * NSEC_PER_SEC;
	for (int i = 0; i < 2000 && clock_boot_ns() < end_ns; i++) {
		struct output o;

		if (output_open("d/r", &o, NULL) == 0)
			assert_int_equal(output_write(&o, "new", 3, NULL), 0);
		output_close(&o);
		if (mode_of("a/r") != 0666 || mode_of("b/r") != 0600)
			break;
	}
	stop(pid);
	assert_int_equal(mode_of("a/r"), 0666);
	assert_int_equal(mode_of("b/r"), 0600);
	assert_holds("a/r", "new");
	assert_holds("b/r", "new");
}

static void a_file_is_replaced_at_the_end(void **state)
{
	struct output o;
	struct stat before, after;

	make("r", 0640, "old");
	assert_int_equal(stat("r", &before), 0);
	assert_int_equal(output_open("r", &o, NULL), 0);
	assert_holds("r", "old");
	assert_int_equal(output_write(&o, "new", 3, NULL), 0);
	output_close(&o);
	assert_holds("r", "new");
	assert_int_equal(mode_of("r"), 0640);
	assert_int_equal(stat("r", &after), 0);
	assert_true(before.st_ino != after.st_ino);
}

static void a_pipe_with_a_name_is_written_to(void **state)
{
	struct output o;
	int reader;

	assert_int_equal(mkfifo("r", 0666), 0);
	reader = open("r", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(output_open("r", &o, NULL), 0);
	assert_int_equal(o.keeper, -1);
	assert_int_equal(output_write(&o, "new", 3, NULL), 0);
	assert_holds("r", "new");
	output_close(&o);
	close(reader);
}

static void a_keeper_that_was_killed_is_named(void **state)
{
	struct output o;
	struct err e = {};

	make("r", 0644, "old");
	assert_int_equal(output_open("r", &o, NULL), 0);
	assert_true(o.keeper_pid > 0);
	kill(o.keeper_pid, SIGKILL);
	assert_true(output_write(&o, "new", 3, &e) < 0);
	assert_string_equal(e.msg, "cannot write r: the process that writes the file has ended");
	output_close(&o);
	assert_holds("r", "old");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_folder_is_looked_up_once),
		TEST(a_file_is_replaced_at_the_end),
		TEST(a_pipe_with_a_name_is_written_to),
		TEST(a_keeper_that_was_killed_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
