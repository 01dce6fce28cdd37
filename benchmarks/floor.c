/* The floor: what one packet to one subscriber costs when nothing is decided.
 *
 * For every subscriber of a burst: copy the packet, write its header, protect it
 * with that subscriber's keys, and send the burst with one UDP_SEGMENT call. The
 * caller gives libsrtp's own function (of pylibsrtp), so that nothing is linked.
 * Between two bursts it may sleep, as a server does that waits for the next packet.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

typedef int (*protect_fn)(void *context, void *packet, int *length);

enum { TAG = 32, MAX_BURST = 64, MAX_PACKET = 1500 };

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
           1e-6 * (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* Microseconds of CPU a packet, or -1 when something refused. */
double floor_run(protect_fn protect, void **contexts, int subscribers, int fd,
                 uint16_t *ports, int burst, int size, int rounds, long pause_ns) {
    static uint8_t payload[MAX_PACKET];
    static uint8_t buffer[MAX_BURST * (MAX_PACKET + TAG)];
    uint16_t sequence = 0;
    double start = cpu_seconds();
    struct timespec pause = {.tv_nsec = pause_ns};
    for (int round = 0; round < rounds; round++) {
        if (pause_ns) nanosleep(&pause, NULL);
        for (int subscriber = 0; subscriber < subscribers; subscriber++) {
            int offset = 0, length = 0;
            for (int number = 0; number < burst; number++) {
                uint8_t *packet = buffer + offset;
                uint16_t ours = htons((uint16_t)(sequence + number));
                uint32_t ssrc = htonl(1000 + subscriber);
                packet[0] = 0x80;
                packet[1] = 96;
                memcpy(packet + 2, &ours, 2);
                memset(packet + 4, 0, 4);
                memcpy(packet + 8, &ssrc, 4);
                memcpy(packet + 12, payload, size - 12);
                length = size;
                if (protect(contexts[subscriber], packet, &length) != 0) return -1;
                offset += length;
            }
            struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = ports[subscriber]};
            to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            struct iovec vector = {.iov_base = buffer, .iov_len = offset};
            char control[CMSG_SPACE(sizeof(uint16_t))] = {0};
            struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to,
                                     .msg_iov = &vector, .msg_iovlen = 1};
            if (burst > 1) {
                message.msg_control = control;
                message.msg_controllen = sizeof control;
                struct cmsghdr *header = CMSG_FIRSTHDR(&message);
                header->cmsg_level = IPPROTO_UDP;
                header->cmsg_type = 103; /* UDP_SEGMENT */
                header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
                uint16_t segment = (uint16_t)length;
                memcpy(CMSG_DATA(header), &segment, sizeof segment);
            }
            if (sendmsg(fd, &message, 0) < 0) return -1;
        }
        sequence += burst;
    }
    return 1e6 * (cpu_seconds() - start) / ((double)rounds * subscribers * burst);
}
