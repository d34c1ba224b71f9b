/*
 * Packing and sending of the runner's records. The command travels in a memfd because an
 * environment may be larger than any packet; a child maps it and points into it.
 */
#include "io/runner_wire.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* In front of the strings: directory, arguments, environment, each with its NUL. */
struct command_head {
	uint32_t argc, envc;
};

static int write_all(int fd, struct bytes b)
{
	while (b.size) {
		ssize_t n = write(fd, b.data, b.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		b.data += n;
		b.size -= (size_t)n;
	}
	return 0;
}

int wire_pack(char *const *argv, char *const *envp, const char *directory)
{
	struct command_head head = {0};
	struct text t = TEXT_EMPTY;
	int fd, r;

	for (char *const *word = argv; *word; word++)
		head.argc++;
	for (char *const *word = envp; *word; word++)
		head.envc++;
	text_add(&t, (struct bytes){(const char *)&head, sizeof(head)});
	text_add(&t, (struct bytes){directory, strlen(directory) + 1});
	for (char *const *word = argv; *word; word++)
		text_add(&t, (struct bytes){*word, strlen(*word) + 1});
	for (char *const *word = envp; *word; word++)
		text_add(&t, (struct bytes){*word, strlen(*word) + 1});
	fd = t.failed ? -1 : memfd_create("callbackd-command", MFD_CLOEXEC);
	if (t.failed)
		r = -ENOMEM;
	else
		r = fd < 0 ? -errno : write_all(fd, text_bytes(&t));
	text_fini(&t);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

/* The next `n` strings as a vector with NULL at its end; NULL: damaged, or no memory. */
static char **take_strings(struct bytes *rest, size_t n)
{
	char **list = calloc(n + 1, sizeof(*list));

	for (size_t i = 0; list && i < n; i++) {
		const char *end = memchr(rest->data, 0, rest->size);

		if (!end)
			return NULL;
		list[i] = (char *)rest->data;
		rest->size -= (size_t)(end + 1 - rest->data);
		rest->data = end + 1;
	}
	return list;
}

int wire_unpack(int fd, struct wire_command *ret)
{
	struct command_head head;
	struct bytes rest;
	struct stat st;
	char **directory;
	void *map;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(head))
		return -EBADMSG;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	memcpy(&head, map, sizeof(head));
	rest = (struct bytes){
		(char *)map + sizeof(head), (size_t)st.st_size - sizeof(head)};
	if (head.argc == 0 || head.argc > rest.size || head.envc > rest.size)
		return -EBADMSG;
	directory = take_strings(&rest, 1);
	ret->argv = take_strings(&rest, head.argc);
	ret->envp = take_strings(&rest, head.envc);
	if (!directory || !ret->argv || !ret->envp)
		return -ENOMEM;
	ret->directory = directory[0];
	return 0;
}

static int send_packet(int socket, const void *data, size_t size, const int *fds)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * WIRE_FDS)];
	} control = {0};
	struct iovec iov = {(void *)data, size};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fds) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control.room);
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int) * WIRE_FDS);
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, sizeof(int) * WIRE_FDS);
	}
	for (;;) {
		if (sendmsg(socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

int wire_send_request(int socket, const struct wire_request *q, const int *fds)
{
	return send_packet(socket, q, sizeof(*q), fds);
}

int wire_send_report(int socket, const struct wire_report *p)
{
	return send_packet(socket, p, sizeof(*p), NULL);
}

int wire_receive_request(int socket, struct wire_request *ret, int ret_fds[WIRE_FDS])
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * WIRE_FDS)];
	} control;
	struct iovec iov = {ret, sizeof(*ret)};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.room),
	};
	struct cmsghdr *c;
	size_t n_fds = 0;
	ssize_t n;

	for (int i = 0; i < WIRE_FDS; i++)
		ret_fds[i] = -1;
	do
		n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(ret_fds, CMSG_DATA(c), n_fds * sizeof(int));
	}
	if (n == 0)
		return -EPIPE;
	if (n == sizeof(*ret) && n_fds == (ret->kind == WIRE_SPAWN ? WIRE_FDS : 0)) {
		ret->run[sizeof(ret->run) - 1] = 0;
		return 0;
	}
	for (int i = 0; i < WIRE_FDS; i++) {
		if (ret_fds[i] >= 0)
			close(ret_fds[i]);
		ret_fds[i] = -1;
	}
	return n == sizeof(*ret) && (m.msg_flags & MSG_CTRUNC) ? -EMFILE : -EBADMSG;
}

int wire_receive_report(int socket, struct wire_report *ret)
{
	ssize_t n;

	/* ECONNRESET: it died with requests unread. That is told once and before what it
	 * had sent; the exits among that are worth having. */
	do
		n = recv(socket, ret, sizeof(*ret), MSG_DONTWAIT);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return -errno;
	if (n == 0)
		return -EPIPE;
	return n == sizeof(*ret) ? 0 : -EBADMSG;
}

const char *wire_step_word(uint32_t step)
{
	static const char *const words[] = {
#define WIRE_STEP_WORD(name, word) word,
		WIRE_STEPS(WIRE_STEP_WORD)
#undef WIRE_STEP_WORD
	};

	return step < ARRAY_SIZE(words) ? words[step] : "";
}
