#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each failure on the way to a source that a user meets, caused for real: its own code, one clear line,
# and the doctor's matching step.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"

# A store with release 1 of tetra, and release 2 in the folder repo, behind a liar at $url.
a_host() {
    state=$PWD/state
    mkdir -p tree
    seq 1 30000 >tree/hashes
    want 0 defupd-publish --repo repo init
    want 0 defupd-publish --repo repo --level 3 add-release tetra 1 tree
    want 0 d --source "file://$PWD/repo" --trusted-root repo/metadata/1.root.json update
    seq 2 30000 >tree/hashes
    want 0 defupd-publish --repo repo --level 3 --deltas 0 add-release tetra 2 tree
    lie repo
}

# policy SERVER [SECTION...]: the only server, by what stands in <server>, and further sections.
policy() {
    local server=$1
    shift
    cat >policy.xml <<P
<policy format="1">
<sources><server>$server</server></sources>
<transfer><connect-timeout>PT1S</connect-timeout><stall-timeout>PT1S</stall-timeout></transfer>
$*
</policy>
P
    chmod 644 policy.xml
}

p() {
    defupd --config "$PWD/policy.xml" --state-dir "$state" "$@"
}

# fails STATUS CODE STEP WORDS...: the update fails so, in one line; so does the doctor, at that step,
# or finds nothing (STEP is -) where the way to the metadata is good.
fails() {
    local status=$1 code=$2 step=$3 got
    shift 3
    want "$status" p update
    [ "$(grep -c '^defupd: ' err)" = 1 ] || fail "$code: not one line: $(cat err)"
    for words in "$@"; do
        grep -qF -e "$words" err || fail "$code: '$words' is not in: $(cat err)"
    done
    got=$(xmllint --xpath 'string(//tetra/lasterrorname)' "$state/local.xml")
    [ "$got" = "$code" ] || fail "expected $code, got $got: $(cat err)"
    [ "$(readlink "$state/current")" = generations/1 ] || fail "$code: current has changed"
    rm -rf "$state/sources" # whoever waits as long as was asked for
    p --json doctor >doctor.json 2>doctor.err </dev/null
    got=$(jq -r '.sources[0].steps | length as $all | map(select(.result == "fail"))[0] |
        "\(.step) \(.name) \($all) \(.advice | length > 0)"' doctor.json)
    [ "$step" = - ] && [ "$got" = 'null null 7 false' ] && return
    [ "$got" = "$step $code 7 true" ] ||
        fail "the doctor says '$got' instead of '$step $code', 7 steps and advice: $(cat doctor.json)"
    ! grep -qE 'SECRET' err doctor.json doctor.err || fail "a secret is told"
}

works() {
    want 0 p --json doctor
    jq -e '[.sources[0].steps[].result] | index("fail") == null' out >/dev/null || fail "$(cat out)"
    want 0 p check
}

server_of() { # URL
    echo "<url>$1</url>"
}

# listens PORT: until something accepts connections there.
listens() {
    local i
    for ((i = 0; i < 400; i++)); do
        (exec 4<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.05
    done
    fail "nobody listens at $1: $(cat ./*.log 2>/dev/null | tail -5)"
}

names_and_connections() {
    a_host
    policy "$(server_of http://nowhere.invalid)"
    fails 69 RESOLVE resolve 'http://nowhere.invalid'
    policy "$(server_of "http://127.0.0.1:$(free_port)")"
    fails 69 CONNECT connect refused
    # A packet filter drops what it does not like. So does a socket whose queue is full.
    port=$(free_port)
    /usr/bin/python3 -c 'import socket, sys, time
server = socket.socket()
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(0)
kept = []
for _ in range(4):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(server.getsockname())
    kept.append(s)
open("full", "w").close()
time.sleep(600)' "$port" &
    servers+=($!)
    until_true [ -e full ]
    policy "$(server_of "http://127.0.0.1:$port")"
    fails 69 TIMEOUT connect
    policy "$(server_of "$url")"
    works
}

# In a network and a view of files of their own, with a name server that we are.
by_a_real_name_server() {
    a_host
    cat >inner.sh <<'I'
ip link set lo up
echo 'nameserver 127.0.0.53' >resolv.conf
mount --bind resolv.conf /etc/resolv.conf
dnsmasq --no-daemon --no-resolv --no-hosts --bind-interfaces --listen-address=127.0.0.53 --user=root \
    --address=/repo.test/127.0.0.1 --local=/test/ --pid-file= >dns.log 2>&1 &
dns=$!
/usr/bin/python3 "$SOURCE/tests/tools/liar.py" --dir repo --listen 127.0.0.1:8080 >liar.out 2>&1 &
liar=$!
for i in $(seq 100); do (exec 4<>/dev/tcp/127.0.0.1/8080) 2>/dev/null && break; sleep 0.05; done
for i in $(seq 100); do getent hosts repo.test >/dev/null && break; sleep 0.05; done
"$@"
status=$?
kill $dns $liar
exit $status
I
    inner() {
        unshare -mn bash inner.sh defupd --config "$PWD/policy.xml" --state-dir "$state" "$@"
    }
    policy "$(server_of http://repo.test:8080)"
    want 0 inner --json doctor
    jq -e '.sources[0].steps[0] | .result == "pass" and .text == "127.0.0.1"' out >/dev/null || fail "$(cat out)"
    want 0 inner check
    policy "$(server_of http://other.test:8080)"
    want 69 inner --json doctor
    jq -e '.sources[0].steps[0] | .result == "fail" and .name == "RESOLVE"' out >/dev/null || fail "$(cat out)"
    # No name server needed: the address is given.
    policy "<url>http://other.test:8080</url><address>127.0.0.1</address>"
    want 0 inner check
    # Nothing leads there: the network is unreachable.
    policy "$(server_of http://203.0.113.1:8080)"
    want 69 inner --json doctor
    jq -e '.sources[0].steps[1] | .result == "fail" and .name == "CONNECT"' out >/dev/null || fail "$(cat out)"
}

http_answers() {
    a_host
    policy "$(server_of "$url")"
    while read -r status code step rule words; do
        echo "$rule" >rules
        fails "$status" "$code" "$step" ${words:+"$words"}
    done <<'R'
69 NOT_FOUND http metadata/timestamp.json=status:404
69 FORBIDDEN http metadata/timestamp.json=status:403
75 RATE_LIMITED http metadata/timestamp.json=status:429:60 60 s
75 MAINTENANCE http metadata/timestamp.json=status:503 503
69 HTTP_STATUS http metadata/timestamp.json=status:500 500
69 INTERRUPTED http metadata/timestamp.json=cut:100
65 TOOLARGE http metadata/timestamp.json=endless
69 STALLED http metadata/timestamp.json=stall:100
69 STALLED http metadata/timestamp.json=slow:1/100
65 METADATA_FORMAT metadata metadata/timestamp.json=flip:0
65 SIGNATURE metadata metadata/timestamp.json=flip:420
65 METADATA_DIGEST metadata metadata/*.snapshot.json=flip:40
69 REDIRECT http metadata/timestamp.json=loop
65 DIGEST - objects/*=flip:50 SHA-256
65 TOOLARGE - objects/*=append:5
65 TOOLARGE - objects/*=endless
69 INTERRUPTED - objects/*=cut:100
69 STALLED - objects/*=stall:100
69 NOT_FOUND - objects/*=status:404
R
    : >rules
    works
}

# What only the clock has to do with: the way is good, and the source's Date tells.
a_clock_that_is_wrong() {
    if [ "$SANITIZE" != none ]; then
        echo "# faketime and sanitizers do not go together" >&3
        return
    fi
    a_host
    policy "$(server_of "$url")"
    for wrong in '+1 hour:ahead of' '-1 hour:behind'; do
        want 65 faketime "${wrong%%:*}" defupd --config "$PWD/policy.xml" --state-dir "$state" --json doctor
        [ "$(jq -r '.sources[0].steps | map(select(.result == "fail")) | map("\(.step) \(.name)") | join(" ")' out)" = \
            'clock CLOCK' ] || fail "$(cat out)"
        says "${wrong#*:} the source"
    done
    want 0 faketime '+5 minutes' defupd --config "$PWD/policy.xml" --state-dir "$state" doctor
}

a_captive_portal() {
    a_host
    printf '<!DOCTYPE html><title>Hotel</title>' >repo/login
    policy "$(server_of "$url")"
    echo '*=other:login' >rules
    fails 69 INTERCEPTED http 'captive portal'
    printf '%s\n' 'login=' "*=redirect:$url/login" >rules
    fails 69 INTERCEPTED http "$url/login" 'captive portal'
    echo '*=status:511' >rules
    fails 69 INTERCEPTED http 511
}

# squid at $proxy with these lines before "allow all".
start_squid() {
    proxy=$(free_port)
    {
        echo "http_port 127.0.0.1:$proxy"
        printf '%s\n' 'pid_filename none' "cache_log $PWD/squid.log" 'access_log none' \
            'cache deny all' 'pinger_enable off' 'shutdown_lifetime 0 seconds' "coredump_dir $PWD" "$@" 'http_access allow all'
    } >squid.conf
    chmod 755 . && : >squid.log && chmod 666 squid.log
    squid -N -f squid.conf >squid.out 2>&1 </dev/null &
    servers+=($!)
    listens "$proxy"
}

# logs_in WHAT METHOD: with joe:right, and with nothing else.
logs_in() {
    printf 'joe:right\n' >right.auth
    printf 'joe:TOPSECRET\n' >wrong.auth
    chmod 600 ./*.auth
    policy "$(server_of "$url")" "<proxy><url>http://127.0.0.1:$proxy</url><auth-file>$PWD/right.auth</auth-file><method>$1</method></proxy>"
    works
    policy "$(server_of "$url")" "<proxy><url>http://127.0.0.1:$proxy</url><auth-file>$PWD/wrong.auth</auth-file><method>$1</method></proxy>"
    fails 69 PROXY_AUTH proxy "http://127.0.0.1:$proxy"
    policy "$(server_of "$url")" "<proxy><url>http://127.0.0.1:$proxy</url><method>$1</method></proxy>"
    fails 69 PROXY_AUTH proxy
    # One source's own way: no proxy.
    policy "<url>$url</url><proxy>none</proxy>" "<proxy><url>http://127.0.0.1:$proxy</url></proxy>"
    works
}

proxies_that_are_down_or_cut() {
    a_host
    policy "$(server_of "$url")" "<proxy><url>http://127.0.0.1:$(free_port)</url></proxy>"
    fails 69 PROXY_CONNECT proxy 'through proxy http://127.0.0.1:' 'Connection refused'
    policy "$(server_of "$url")" "<proxy><url>http://nowhere.invalid:3128</url></proxy>"
    fails 69 PROXY_CONNECT proxy
    # What a proxy cuts is said to be the proxy's.
    port=${url##*:}
    policy "$(server_of http://h.invalid)" "<proxy><url>http://127.0.0.1:$port</url></proxy>"
    echo 'metadata/timestamp.json=cut:100' >rules
    fails 69 PROXY_DOWNLOAD proxy
    echo 'objects/*=reset:100' >rules
    fails 69 PROXY_DOWNLOAD -
    : >rules
    works
    http_proxy=http://127.0.0.1:$port
    export http_proxy
    policy "$(server_of http://h.invalid)"
    fails 69 RESOLVE resolve
    policy "$(server_of http://h.invalid)" "<proxy><url>env</url></proxy>"
    works
    policy "$(server_of http://h.invalid)" "<proxy><url>env</url><bypass>invalid</bypass></proxy>"
    fails 69 RESOLVE resolve
}

a_proxy_asks_for_basic() {
    a_host
    printf 'joe:%s\n' "$(openssl passwd -apr1 right)" >users
    start_squid "auth_param basic program /usr/lib/squid/basic_ncsa_auth $PWD/users" \
        'acl known proxy_auth REQUIRED' 'http_access deny !known'
    logs_in password
    logs_in basic
}

a_proxy_asks_for_digest() {
    a_host
    echo joe:right >users
    start_squid "auth_param digest program /usr/lib/squid/digest_file_auth $PWD/users" \
        'auth_param digest realm r' 'acl known proxy_auth REQUIRED' 'http_access deny !known'
    logs_in digest
}

# squid's stand-in for a domain controller believes everybody.
a_proxy_asks_for_ntlm() {
    a_host
    start_squid 'auth_param ntlm program /usr/lib/squid/ntlm_fake_auth' \
        'acl known proxy_auth REQUIRED' 'http_access deny !known'
    printf 'joe:right\n' >right.auth
    chmod 600 right.auth
    policy "$(server_of "$url")" "<proxy><url>http://127.0.0.1:$proxy</url><auth-file>$PWD/right.auth</auth-file><method>ntlm</method></proxy>"
    works
    policy "$(server_of "$url")" "<proxy><url>http://127.0.0.1:$proxy</url><auth-file>$PWD/right.auth</auth-file></proxy>"
    fails 69 PROXY_AUTH proxy
}

# The command line takes it, too.
a_socks_proxy() {
    a_host
    proxy=$(free_port)
    microsocks -i 127.0.0.1 -p "$proxy" -u joe -P right >socks.log 2>&1 </dev/null &
    servers+=($!)
    listens "$proxy"
    printf 'joe:right\n' >right.auth
    printf 'joe:TOPSECRET\n' >wrong.auth
    chmod 600 ./*.auth
    for scheme in socks5 socks5h; do
        policy "$(server_of "$url")" "<proxy><url>$scheme://127.0.0.1:$proxy</url><auth-file>$PWD/right.auth</auth-file></proxy>"
        works
    done
    policy "$(server_of "$url")" "<proxy><url>socks5h://127.0.0.1:$proxy</url><auth-file>$PWD/wrong.auth</auth-file></proxy>"
    fails 69 PROXY_AUTH proxy "socks5h://127.0.0.1:$proxy"
    policy "$(server_of http://nowhere.invalid)" "<proxy><url>socks5://127.0.0.1:$proxy</url><auth-file>$PWD/right.auth</auth-file></proxy>"
    fails 69 RESOLVE resolve nowhere.invalid
    policy "$(server_of "$url")" "<proxy><url>socks5h://127.0.0.1:$(free_port)</url></proxy>"
    fails 69 PROXY_CONNECT proxy
    want 0 d --source "$url" --proxy "socks5h://127.0.0.1:$proxy" --proxy-auth-file right.auth check
    want 69 d --source "$url" --proxy "socks5h://127.0.0.1:$proxy" --proxy-auth-file wrong.auth check
    says 'PROXY_AUTH'
    ! grep -q SECRET out err || fail 'a secret is told'
}

# A realm of its own on the loopback: KDC, service key of squid, user joe.
a_proxy_asks_for_negotiate() {
    local kdc pid
    a_host
    kdc=$(free_port)
    cat >krb5.conf <<K
[libdefaults]
default_realm = TEST
dns_lookup_kdc = false
dns_lookup_realm = false
rdns = false
dns_canonicalize_hostname = false
[realms]
TEST = {
  kdc = 127.0.0.1:$kdc
}
[domain_realm]
localhost = TEST
K
    cat >kdc.conf <<K
[kdcdefaults]
kdc_listen = 127.0.0.1:$kdc
kdc_tcp_listen = 127.0.0.1:$kdc
[realms]
TEST = {
  database_module = files
  key_stash_file = $PWD/stash
  acl_file = $PWD/acl
}
[dbmodules]
files = {
  db_library = db2
  database_name = $PWD/principal
}
K
    export KRB5_CONFIG=$PWD/krb5.conf KRB5_KDC_PROFILE=$PWD/kdc.conf KRB5CCNAME=$PWD/ticket KRB5_KTNAME=$PWD/keytab KRB5RCACHENAME=none:
    kdb5_util -r TEST create -s -P master >kdb.log 2>&1 || fail "$(cat kdb.log)"
    kadmin.local -q 'addprinc -pw right joe' >>kdb.log 2>&1
    kadmin.local -q 'addprinc -randkey HTTP/localhost' >>kdb.log 2>&1
    kadmin.local -q "ktadd -k $PWD/keytab HTTP/localhost" >>kdb.log 2>&1
    chmod 644 keytab krb5.conf
    krb5kdc -n -P "$PWD/kdc.pid" >kdc.log 2>&1 </dev/null &
    servers+=($!)
    listens "$kdc"
    start_squid "auth_param negotiate program /usr/lib/squid/negotiate_kerberos_auth -k $PWD/keytab -s HTTP/localhost@TEST" \
        'auth_param negotiate children 2' 'acl known proxy_auth REQUIRED' 'http_access deny !known'
    policy "$(server_of "$url")" "<proxy><url>http://localhost:$proxy</url><method>negotiate</method></proxy>"
    fails 69 PROXY_AUTH proxy
    echo right | kinit joe >kinit.log 2>&1 || fail "$(cat kinit.log)"
    works
}

# A CA with its database, and certificates for 127.0.0.1: good, bad (revoked), old (out of date), other
# (for another name), and caught (by somebody who intercepts).
make_ca() {
    cat >ca.cnf <<'C'
[ca]
default_ca = c
[c]
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = p
default_days = 30
default_crl_days = 30
unique_subject = no
copy_extensions = copy
[p]
commonName = supplied
[v]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[req]
distinguished_name = d
[d]
C
    (
        set -e
        exec >>openssl.log 2>&1
        : >index.txt
        echo 1000 >serial
        new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config ca.cnf'
        openssl req -x509 $new -keyout ca.key -out ca.pem -days 30 -subj '/CN=test CA' -extensions v
        openssl req -x509 $new -keyout z.key -out z.pem -days 30 -extensions v -subj '/O=Zscaler Inc./CN=Zscaler Root CA'
        for n in good bad old other caught; do
            name=IP:127.0.0.1
            [ $n != other ] || name=DNS:elsewhere.test
            openssl req $new -keyout $n.key -out $n.csr -subj /CN=$n -addext "subjectAltName=$name"
        done
        for n in good bad other; do
            openssl ca -batch -config ca.cnf -in $n.csr -out $n.crt -notext
        done
        openssl ca -batch -config ca.cnf -in old.csr -out old.crt -notext -startdate 200101000000Z -enddate 200201000000Z
        printf 'subjectAltName=IP:127.0.0.1' >ext
        openssl x509 -req -in caught.csr -CA z.pem -CAkey z.key -set_serial 5 -days 30 -extfile ext -out caught.crt
        for n in good bad old other caught; do
            cat $n.crt ca.pem >$n.pem
        done
        openssl ca -config ca.cnf -revoke bad.crt
        openssl ca -config ca.cnf -gencrl -out crl.pem
        openssl ca -config ca.cnf -gencrl -crl_lastupdate 200101000000Z -crl_nextupdate 200102000000Z -out stale.pem
        # The responder is a real one; what it says is stapled.
        openssl ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -port "$1" -ndays 1 -nrequest 2 >responder.log 2>&1 &
        responder=$!
        for i in $(seq 100); do
            grep -q 'waiting for' responder.log && break
            sleep 0.05
        done
        for n in good bad; do
            openssl ocsp -CAfile ca.pem -issuer ca.pem -cert $n.crt -url "http://127.0.0.1:$1" -respout $n.ocsp
        done
        wait $responder
        openssl ocsp -issuer ca.pem -cert good.crt -reqout good.req
        faketime '2 years ago' openssl ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin good.req -ndays 1 -respout stale.ocsp
    ) </dev/null || fail "no CA: $(tail -5 openssl.log)"
}

# serve NAME [DIRECTIVE...]: nginx over repo with that certificate, at $tls.
serve() {
    local name=$1 port
    shift
    port=$(free_port)
    mkdir -p "ng-$port"
    cat >"ng-$port/conf" <<N
pid nginx.pid;
events { worker_connections 64; }
http {
  access_log access.log; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  server {
    listen 127.0.0.1:$port ssl http2;
    root $PWD/repo;
    ssl_certificate $PWD/$name.pem;
    ssl_certificate_key $PWD/$name.key;
    $*
  }
}
N
    nginx -p "ng-$port" -c conf -e error.log -g 'daemon off; master_process off;' >"ng-$port.log" 2>&1 </dev/null &
    servers+=($!)
    listens "$port"
    tls=https://127.0.0.1:$port
}

staple() { # FILE
    echo "ssl_stapling on; ssl_stapling_file $PWD/$1;"
}

certificates() {
    a_host
    make_ca "$(free_port)"
    local ca="<ca-file>$PWD/ca.pem</ca-file>"
    serve good
    policy "$(server_of "$tls")$ca"
    works
    want 0 p --json doctor
    jq -e '.sources[0].steps[3].text | test("TLSv1.[23], CN = good, issued by CN = test CA, until ")' out >/dev/null || fail "$(cat out)"
    grep -q 'GET /metadata/timestamp.json HTTP/2' "ng-${tls##*:}/access.log" ||
        fail "no HTTP/2: $(cat "ng-${tls##*:}/access.log")"
    policy "$(server_of "$tls")"
    fails 69 TLS_VERIFY tls 'issued by "CN = test CA"'
    policy "$(server_of "$tls")$ca<pinned-key>sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</pinned-key>"
    fails 69 TLS_PIN tls
    port=$(free_port) # one that greets in clear text
    /usr/bin/python3 -c 'import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()[0].sendall(b"220 hello\r\n")' "$port" &
    servers+=($!)
    listens "$port"
    policy "$(server_of "https://127.0.0.1:$port")$ca"
    fails 69 TLS tls
    serve old
    policy "$(server_of "$tls")$ca"
    fails 69 TLS_EXPIRED tls expired
    serve other
    policy "$(server_of "$tls")$ca"
    fails 69 TLS_NAME tls 127.0.0.1
    serve caught
    policy "$(server_of "$tls")$ca"
    fails 69 INTERCEPTED tls Zscaler
    serve good "ssl_client_certificate $PWD/ca.pem; ssl_verify_client on;"
    policy "$(server_of "$tls")$ca"
    fails 69 TLS_CLIENT_CERT tls
    policy "$(server_of "$tls")$ca<client-certificate>$PWD/good.crt</client-certificate><client-key>$PWD/good.key</client-key>"
    works
}

revocation() {
    a_host
    make_ca "$(free_port)"
    local ca="<ca-file>$PWD/ca.pem</ca-file>" soft='<revocation>best-effort</revocation>' hard='<revocation>required</revocation>'
    serve good "$(staple good.ocsp)"
    policy "$(server_of "$tls")$ca$hard"
    works
    serve bad "$(staple bad.ocsp)"
    policy "$(server_of "$tls")$ca$hard"
    fails 69 TLS_REVOKED tls
    policy "$(server_of "$tls")$ca$soft"
    fails 69 TLS_REVOKED tls
    serve good "$(staple stale.ocsp)"
    policy "$(server_of "$tls")$ca$soft"
    works
    policy "$(server_of "$tls")$ca$hard"
    fails 69 TLS_REVOCATION tls
    serve good
    policy "$(server_of "$tls")$ca$soft"
    works
    want 0 p --json doctor
    jq -e '.sources[0].steps[3].text | test("not known, accepted")' out >/dev/null || fail "$(cat out)"
    policy "$(server_of "$tls")$ca$hard"
    fails 69 TLS_REVOCATION tls
    policy "$(server_of "$tls")$ca$hard<crl-file>$PWD/crl.pem</crl-file>"
    works
    for list in stale absent; do
        policy "$(server_of "$tls")$ca$soft<crl-file>$PWD/$list.pem</crl-file>"
        works
        policy "$(server_of "$tls")$ca$hard<crl-file>$PWD/$list.pem</crl-file>"
        fails 69 TLS_REVOCATION tls
    done
    serve bad
    for list in crl stale; do # what is out of date and says "revoked" says it
        policy "$(server_of "$tls")$ca$soft<crl-file>$PWD/$list.pem</crl-file>"
        fails 69 TLS_REVOKED tls
    done
}

# The service's worker is fenced in; what the way is made of it may read.
the_worker_reads_what_it_needs() {
    a_host
    make_ca "$(free_port)"
    serve good "ssl_client_certificate $PWD/ca.pem; ssl_verify_client on;"
    policy "$(server_of "$tls")<ca-file>$PWD/ca.pem</ca-file><client-certificate>$PWD/good.crt</client-certificate><client-key>$PWD/good.key</client-key><crl-file>$PWD/crl.pem</crl-file><revocation>required</revocation>" '<schedule><enabled>no</enabled></schedule>'
    "$BUILD/agent/defupd-agent" --config "$PWD/policy.xml" --state-dir "$state" --defupd "$BUILD/agent/defupd" >agent.log 2>&1 </dev/null &
    agent=$!
    servers+=($agent)
    until_true ready
    want 0 p update
    [ "$(readlink "$state/current")" = generations/2 ] || fail "$(cat agent.log)"
    grep -q 'update begins' agent.log || fail "the agent did not do it: $(cat agent.log)"
}

# have PROGRAM... -- TEST: run it where these are.
have() {
    local program
    while [ "$1" != -- ]; do
        program=$1
        shift
        command -v "$program" >/dev/null && continue
        while [ "$1" != -- ]; do shift; done
        t_skip "$2" "this machine lacks $program"
        return
    done
    t_run "$2"
}

t_run names_and_connections
if unshare -mn true 2>/dev/null; then
    have dnsmasq ip -- by_a_real_name_server
else
    t_skip by_a_real_name_server "this user may not make a network"
fi
t_run http_answers
have faketime -- a_clock_that_is_wrong
t_run a_captive_portal
t_run proxies_that_are_down_or_cut
have squid openssl -- a_proxy_asks_for_basic
have squid -- a_proxy_asks_for_digest
have squid -- a_proxy_asks_for_ntlm
have microsocks -- a_socks_proxy
have squid krb5kdc kdb5_util kadmin.local kinit -- a_proxy_asks_for_negotiate
have nginx openssl faketime -- certificates
have nginx openssl faketime -- revocation
have nginx openssl faketime -- the_worker_reads_what_it_needs
t_done
