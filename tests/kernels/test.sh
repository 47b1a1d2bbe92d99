# SPDX-License-Identifier: Apache-2.0
# Runs inside the virtual machine, once for each set of hooks that sonde can be held to. Speaks to
# tests/kernels/run over the console:
#     CASE name ok | CASE name FAIL why
#     DATA name, a document in base64, END
# What the documents must say is judged there.

verdict() { # NAME STATUS WHY
	if [ "$2" = 0 ]; then
		echo "CASE $1 ok"
	else
		echo "CASE $1 FAIL $3"
	fi
}

data() { # NAME FILE
	echo "DATA $1"
	base64 "$2"
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

run_tier() { # NAME OPTION...
	tier=$1
	shift
	d=/tmp/$tier
	mkdir -p $d
	tcp_pair --port 7002 --exchanges 10 --delay 2000 --wait-for $d/go --hold 300 >$d/existing &
	existing=$!
	# Established before sonde is there; port 7002 is 1B5A in hexadecimal, 01 is ESTABLISHED.
	wait_for 50 grep -q ':1B5A .* 01 ' /proc/net/tcp

	sonde report --log-level debug --duration 60 --output $d/report "$@" 2>$d/stderr &
	sonde=$!
	wait_for 200 grep -q measuring $d/stderr
	verdict $tier.measures $? "$(tail -n 1 $d/stderr)"

	touch $d/go
	tcp_pair --port 7001 --exchanges 50 --delay 5000 --request 100 --response 1000 >$d/tcp4
	verdict $tier.tcp4 $? "tcp_pair failed"
	tcp_pair -6 --port 7006 --exchanges 20 --delay 5000 --client-read-delay 3000 >$d/tcp6
	verdict $tier.tcp6 $? "tcp_pair failed"
	wait $existing
	verdict $tier.existing $? "tcp_pair failed"
	for go in $GO_PORTS; do
		http_get -n 25 127.0.0.1 $go /hello >/dev/null &&
			http_get -n 10 -m POST -b 100 127.0.0.1 $go /hello >/dev/null &&
			http_get -n 5 127.0.0.1 $go /status/404 >/dev/null
		verdict $tier.http-$go $? "http_get failed"
	done

	# An interrupted report is a complete one.
	kill -INT $sonde
	(sleep 20 && kill -KILL $sonde) &
	wait $sonde
	status=$?
	kill $!
	verdict $tier.finishes $status "exit status $status: $(tail -n 1 $d/stderr)"
	for document in report tcp4 tcp6 existing stderr; do
		data $tier.$document $d/$document
	done
}

GO_PORTS=
for go in /bin/gohttp-*; do
	port=8${go##*-1.}
	port=$(printf '%s000' "$port" | cut -c 1-4)
	GO_PORTS="$GO_PORTS $port"
	$go -listen 127.0.0.1:$port >/tmp/listening-$port &
	wait_for 100 grep -q listening /tmp/listening-$port
	verdict "${go##*/}" $? "it does not listen"
done

{
	sonde doctor
	sonde plan
} >/tmp/doctor 2>&1
data doctor /tmp/doctor

for tier in $TIERS; do
	case $tier in
	auto) run_tier auto ;;
	*) run_tier $tier --tier $tier ;;
	esac
done
