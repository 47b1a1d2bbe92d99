# SPDX-License-Identifier: Apache-2.0
# Runs inside the virtual machine: the suites named in $suites, separated by commas; those that are tiers
# and in $network too have a second part (network.sh). Speaks to tests/kernels/run over the console:
#     CASE name ok | CASE name FAIL why
#     DATA name, a document, compressed, in base64, END
# and in the lines of `inside`. What the documents must say is judged there.

. /network.sh

verdict() { # NAME STATUS WHY
	if [ "$2" = 0 ]; then
		echo "CASE $1 ok"
	else
		echo "CASE $1 FAIL $3"
	fi
}

data() { # NAME FILE
	echo "DATA $1"
	# A serial line is slow, and an emulated one drops what comes too fast.
	gzip -c "$2" | base64
	echo "END"
}

wait_for() { # TENTHS-OF-A-SECOND COMMAND...
	tenths=$1
	shift
	until "$@"; do
		tenths=$((tenths - 1))
		[ $tenths -gt 0 ] || return 1
		usleep 100000
	done
}

# start_report FOLDER OPTION...: until it measures; its process is $sonde then.
start_report() {
	folder=$1
	shift
	sonde report --tcp.detail --log-level debug --duration 600 --output "$folder/report" "$@" \
		2>"$folder/stderr" &
	sonde=$!
	wait_for 1200 grep -q measuring "$folder/stderr"
}

# An interrupted report is a complete one.
finish_report() { # NAME FOLDER
	kill -INT $sonde
	(sleep 120 && kill -KILL $sonde) &
	guard=$!
	wait $sonde
	status=$?
	kill $guard
	verdict "$1.finishes" $status "exit status $status: $(tail -n 1 "$2/stderr")"
}

serve_http() { # NAME: some requests to each Go server
	for port in $GO_PORTS; do
		http_get -n 25 127.0.0.1 $port /hello >/dev/null &&
			http_get -n 10 -m POST -b 100 127.0.0.1 $port /hello >/dev/null &&
			http_get -n 5 127.0.0.1 $port /status/404 >/dev/null
		verdict "$1.serves-$port" $? "http_get failed"
	done
}

# TCP sockets that live, of both families; those in TIME_WAIT are none to the kernel any more.
sockets() {
	sed -n 's/^TCP: .* alloc \([0-9]*\) .*/\1/p' /proc/net/sockstat
}

# What sonde keeps of a socket goes with the socket, which a program's end may precede by a moment.
all_let_go() {
	entries=$(inside entries sn_tcp_hash) || return 1
	sockets=$(sockets)
	[ "$entries" = none ] || [ "$entries" -le "$sockets" ]
}

# No connection is left whose programs have closed it, and whose last segment is not acknowledged: lost
# in a busy machine, it is sent again.
all_closed() {
	! grep -qE '^ *[0-9]+: .* 0[49B] [0-9A-F]+:' /proc/net/tcp /proc/net/tcp6
}

# pair CASE OPTION...: what it said is CASE in the folder of the tier.
pair() {
	name=$1
	shift
	tcp_pair "$@" >$d/$name
	verdict $tier.$name $? "tcp_pair failed"
}

run_tier() { # NAME OPTION...
	tier=$1 d=/tmp/$1
	shift
	mkdir -p $d
	sonde doctor --json --tcp.detail "$@" >$d/doctor 2>&1
	data $tier.doctor $d/doctor
	tcp_pair --port 7002 --exchanges 10 --delay 2000 --wait-for $d/go --hold 300 >$d/existing &
	existing=$!
	# Established before sonde is there; port 7002 is 1B5A in hexadecimal, 01 is ESTABLISHED.
	wait_for 1200 grep -q ':1B5A .* 01 ' /proc/net/tcp

	beside=
	case ,$network, in
	*,$tier,*)
		beside="far far_old far_dark far_syn far_loss ends before after left"
		network_before
		;;
	esac

	start_report $d "$@"
	verdict $tier.measures $? "$(tail -n 1 $d/stderr)"
	touch $d/go
	pair tcp4 --port 7001 --exchanges 50 --delay 5000 --read-delay 1000 --response 1000
	pair tcp6 -6 --port 7006 --exchanges 20 --delay 5000 --client-read-delay 3000
	pair sendfile --port 7004 --exchanges 20 --delay 2000 --response 20000 --sendfile
	pair many --port 7005 --connections 300 --exchanges 1
	wait $existing
	verdict $tier.existing $? "tcp_pair failed"
	# The tier is one of kernel hooks: for Go programs it is all the same.
	case $tier in
	auto | file) serve_http $tier ;;
	esac
	[ -z "$beside" ] || network_traffic
	wait_for 100 all_closed
	wait_for 100 all_let_go
	echo "$entries $sockets" >$d/sockets
	finish_report $tier $d
	[ -z "$beside" ] || kill $left
	for document in report tcp4 tcp6 sendfile many existing sockets stderr $beside; do
		data $tier.$document $d/$document
	done
}

# Every uprobe under load from several sides for half a minute, counted exactly.
run_stress() {
	d=/tmp/stress rounds=0
	mkdir -p $d
	start_report $d
	verdict stress.measures $? "$(tail -n 1 $d/stderr)"
	inside sites 30 4 >$d/sites &
	sites=$!
	until="$(($(date +%s) + 30))"
	tcp_pair --port 7003 --exchanges 1000 >$d/tcp4
	verdict stress.tcp4 $? "tcp_pair failed"
	while [ "$(date +%s)" -lt $until ]; do
		gets=
		for port in $GO_PORTS; do
			http_get -n 50 -c 2 127.0.0.1 $port /hello >/dev/null &
			gets="$gets $!"
		done
		for get in $gets; do
			wait $get || verdict stress.serves 1 "http_get failed"
		done
		rounds=$((rounds + 1))
	done
	wait $sites
	cat $d/sites
	echo $((rounds * 50)) >$d/requests
	finish_report stress $d
	for document in report tcp4 requests stderr; do
		data stress.$document $d/$document
	done
}

# What is left of an agent that was killed while its probes were hit.
run_kill() {
	d=/tmp/kill gets=
	mkdir -p $d
	sonde run --listen off --log-level debug >$d/stderr 2>&1 &
	sonde=$!
	for go in $GO; do
		wait_for 1200 grep -q "probing .*${go##*/}" $d/stderr
	done
	for port in $GO_PORTS; do
		http_get -n 200 127.0.0.1 $port /hello >$d/load-$port &
		gets="$gets$! "
	done
	inside kill $sonde $GO_PIDS
	for port in $GO_PORTS; do
		wait ${gets%% *}
		verdict kill.target-lives-$port $? "http_get failed"
		gets=${gets#* }
	done
}

# No types, then those of kernels that this one might have been, and its own. Wrong in what every
# program reads, or in nothing but what the tcp probe does.
run_file() {
	for wrong in "task_struct pid" "tcp_sock write_seq"; do
		name=${wrong% *}
		inside btf-shift /btf/own /btf/$name $wrong
		verdict wrong.$name $? "the file could not be made"
		sonde doctor --json --btf /btf/$name >/tmp/$name 2>&1
		data wrong.$name /tmp/$name
		rm /btf/$name
	done
	run_tier file --btf /btf/own
}

if [ "$network" ]; then
	network_up
	verdict network $? "it could not be made"
fi
GO=$(ls /bin/gohttp-*)
GO_PORTS= GO_PIDS=
for go in $GO; do
	port=$(printf '8%s000' "${go##*-1.}" | cut -c 1-4)
	GO_PORTS="$GO_PORTS $port"
	$go -listen 127.0.0.1:$port >/tmp/listening-$port &
	GO_PIDS="$GO_PIDS $!"
	wait_for 1200 grep -q listening /tmp/listening-$port
	verdict "${go##*/}" $? "it does not listen"
done

for suite in $(echo "$suites" | tr , ' '); do
	case $suite in
	programs | sites) inside $suite ;;
	kill) run_kill ;;
	stress) run_stress ;;
	file) run_file ;;
	auto) run_tier auto ;;
	*) run_tier $suite --tier $suite ;;
	esac
done
dmesg >/tmp/dmesg
data dmesg /tmp/dmesg
