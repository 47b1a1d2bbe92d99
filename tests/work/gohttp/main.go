// SPDX-License-Identifier: Apache-2.0

// A small HTTP server that counts what it serves by its own clock, so that what sonde reports about
// it can be compared to the last request. Standard library only; builds with Go 1.19 and newer.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// One line of /stats: what was answered to one method with one status.
type series struct {
	Method string `json:"method"`
	Status int    `json:"status"`
	Count  uint64 `json:"count"`
	SumNs  int64  `json:"sum_ns"`
}

type stats struct {
	mu     sync.Mutex
	series map[string]*series
}

func (s *stats) record(method string, status int, duration time.Duration) {
	key := method + " " + strconv.Itoa(status)

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.series[key] == nil {
		s.series[key] = &series{Method: method, Status: status}
	}
	s.series[key].Count++
	s.series[key].SumNs += duration.Nanoseconds()
}

func (s *stats) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var document struct {
		Requests uint64    `json:"requests"`
		SumNs    int64     `json:"sum_ns"`
		Series   []*series `json:"series"`
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	document.Series = []*series{}
	for _, one := range s.series {
		document.Requests += one.Count
		document.SumNs += one.SumNs
		document.Series = append(document.Series, one)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(&document)
}

// Remembers the status; everything else goes to the writer inside.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) Flush() {
	if flusher, ok := w.ResponseWriter.(http.Flusher); ok {
		flusher.Flush()
	}
}

func (w *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

// Measures every request but those to /stats. A panicking handler counts with the status it had
// written, or 0.
func (s *stats) measure(inside http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stats" {
			s.ServeHTTP(w, r)
			return
		}
		writer := &statusWriter{ResponseWriter: w}
		start := time.Now()
		finished := false
		defer func() {
			if finished && writer.status == 0 {
				writer.status = http.StatusOK
			}
			s.record(r.Method, writer.status, time.Since(start))
		}()
		inside.ServeHTTP(writer, r)
		finished = true
	})
}

// The number behind @prefix in the path, or -1.
func pathNumber(r *http.Request, prefix string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, prefix))
	if err != nil {
		return -1
	}
	return n
}

func hello(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	io.WriteString(w, "hello\n")
}

func status(w http.ResponseWriter, r *http.Request) {
	code := pathNumber(r, "/status/")
	if code < 200 || code > 599 {
		http.Error(w, "want /status/200 to /status/599", http.StatusBadRequest)
		return
	}
	w.WriteHeader(code)
}

func sleep(w http.ResponseWriter, r *http.Request) {
	ms := pathNumber(r, "/sleep/")
	if ms < 0 || ms > 60000 {
		http.Error(w, "want /sleep/0 to /sleep/60000", http.StatusBadRequest)
		return
	}
	time.Sleep(time.Duration(ms) * time.Millisecond)
	io.WriteString(w, "slept\n")
}

func panics(w http.ResponseWriter, r *http.Request) {
	panic(http.ErrAbortHandler)
}

// A certificate for 127.0.0.1 and localhost that lives for an hour and nowhere but in memory.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// Leaves in the middle of everything, as programs do.
func endAfter(life time.Duration, become []string) {
	time.Sleep(life)
	if len(become) > 0 {
		log.Fatal(syscall.Exec(become[0], become, os.Environ()))
	}
	os.Exit(0)
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`address` to listen on; port 0: any")
	useTLS := flag.Bool("tls", false, "serve HTTPS with a self-signed certificate")
	life := flag.Duration("life", 0, "end after so long; with arguments, become that program instead")
	preempts := flag.Bool("preempt", false, "preempt all goroutines all the time")
	flag.Parse()
	if *preempts {
		go preempt()
	}
	if *life > 0 {
		go endAfter(*life, flag.Args())
	}

	counts := &stats{series: map[string]*series{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", hello)
	mux.HandleFunc("/status/", status)
	mux.HandleFunc("/sleep/", sleep)
	mux.HandleFunc("/panic", panics)
	server := &http.Server{Handler: counts.measure(mux)}

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	if !*useTLS {
		log.Fatal(server.Serve(listener))
	}
	certificate, err := selfSigned()
	if err != nil {
		log.Fatal(err)
	}
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	log.Fatal(server.ServeTLS(listener, "", ""))
}
