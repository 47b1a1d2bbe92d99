# SPDX-License-Identifier: Apache-2.0
# Part of test.sh: two networks that are joined, near (10.97.0.1) and far (10.97.0.2), each of which
# sends 10 ms late; and what goes on between them while sonde looks.

# at END COMMAND...: END is near, far, or here, where everything else of this machine is.
at() {
	end=$1
	shift
	case $end in
	here) "$@" ;;
	*) nsenter --net=/run/$end -- "$@" ;;
	esac
}

# network_is LOSS GAP: at both ends, see `inside netem`.
network_is() {
	at near inside netem near "$1" "$2" && at far inside netem far "$1" "$2"
}

# Other ways between the same two, for one connection each, that can be severed: from 10.97.0.3 to
# 10.97.0.4 at the near end, from 10.97.0.5 to 10.97.0.6 at the far one.
NOBODY=02:00:00:00:00:99 NEAR=02:00:00:00:00:01 FAR=02:00:00:00:00:02
sever() {
	case $1 in
	near) at near arp -s 10.97.0.4 $NOBODY ;;
	far) at far arp -s 10.97.0.5 $NOBODY ;;
	esac
}

mend() {
	case $1 in
	near) at near arp -s 10.97.0.4 $FAR ;;
	far) at far arp -s 10.97.0.5 $NEAR ;;
	esac
}

network_up() {
	for module in veth sch_netem; do
		insmod /modules/"$(uname -r)"/$module.ko || return
	done
	for end in near far; do
		: >/run/$end
		unshare --net=/run/$end true || return
	done
	inside veth /run/near /run/far || return
	at near ip link set near address $NEAR
	at far ip link set far address $FAR
	for end in near far; do
		# What one connection learns of the way would be another's beginning.
		at $end sh -c "echo 1 >/proc/sys/net/ipv4/tcp_no_metrics_save"
		# That there is no 10.97.0.8 is known after a second.
		at $end sh -c "echo 300 >/proc/sys/net/ipv4/neigh/$end/retrans_time_ms"
		at $end ip link set lo up
		at $end ip link set $end up
	done
	for host in 1 3 5; do
		at near ip addr add 10.97.0.$host/24 dev near
		at far ip addr add 10.97.0.$((host + 1))/24 dev far
	done
	at near ip route add 10.97.0.4/32 dev near src 10.97.0.3
	at near ip route add 10.97.0.6/32 dev near src 10.97.0.5
	mend near && mend far
	# Somebody who never answers.
	at near arp -s 10.97.0.9 $NOBODY
	network_is 0 0
}

# What the kernel counts of its own, in all networks, one behind the other.
count_all() {
	for end in here near far; do
		at $end cat /proc/net/snmp /proc/net/netstat
	done
}

# The kernel has given up waiting, once at least, at the socket in state STATE at port PORT (both in hex).
waited_in_vain() { # END STATE PORT
	at $1 grep -qE ":$3 .*$2 [^ ]* [^ ]* 0000000[1-9] " /proc/net/tcp
}

# None that could send anything again: all that is left waits for its time to be over.
all_done() {
	for end in near far; do
		! at $end grep -qE '^ *[0-9]+: .* 0[1-5789B] [0-9A-F]+:' /proc/net/tcp || return 1
	done
}

# pair_far CASE HOST OPTION...
pair_far() {
	name=$1 host=$2
	shift 2
	tcp_pair --host $host --server-net /run/far --client-net /run/near "$@" >$d/$name
	verdict $tier.$name $? "tcp_pair failed"
}

# Before sonde looks: a connection that stands, at port 7010, which is 1B62.
network_before() {
	count_all >$d/before
	pair_far far_old 10.97.0.2 --port 7010 --exchanges 20 --delay 5000 --wait-for $d/go-far &
	far_old=$!
	wait_for 1200 at near grep -q ':1B62 01 ' /proc/net/tcp
}

# The answer to the first segment of a connection is lost.
lose_answer() {
	sever far
	pair_far far_syn 10.97.0.6 --port 7013 --exchanges 5 &
	pair=$!
	wait_for 300 waited_in_vain far 03 1B65
	mend far
	wait $pair
}

# A request is lost, and what is sent again of it.
lose_request() {
	pair_far far_dark 10.97.0.4 --port 7012 --exchanges 5 --wait-for $d/go-dark &
	pair=$!
	wait_for 300 at near grep -q ':1B64 01 ' /proc/net/tcp
	sever near
	touch $d/go-dark
	wait_for 300 waited_in_vain near 01 1B64
	mend near
	wait $pair
}

network_traffic() {
	# Most of it is waiting.
	inside ends /run/near /run/far >$d/ends &
	ends=$!
	lose_answer &
	answer=$!
	lose_request &
	request=$!
	touch $d/go-far
	pair_far far 10.97.0.2 --port 7011 --exchanges 20 --delay 5000 --read-delay 2000 \
		--client-read-delay 2000
	wait $ends
	verdict $tier.ends $? "inside ends failed"
	wait $far_old $answer $request

	network_is 6 7
	pair_far far_loss 10.97.0.2 --port 7014 --exchanges 2 --request 1000 --response 150000 \
		--delay 5000
	network_is 0 0
	wait_for 600 all_done
	verdict $tier.all-done $? "a connection does not end"
	count_all >$d/after
	inside leave /run/near /run/far >$d/left &
	left=$!
	wait_for 300 [ -s $d/left ]
	verdict $tier.left $? "inside leave failed"
}
