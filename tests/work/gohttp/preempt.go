// SPDX-License-Identifier: Apache-2.0

//go:build !go1.23

package main

import (
	"runtime"
	_ "unsafe" // for go:linkname, which newer Go keeps from the runtime's own functions
)

// What the runtime calls to stop the world: every goroutine that runs gives way at the next check of
// its stack, by entering the function that it is in a second time.
//
//go:linkname preemptall runtime.preemptall
func preemptall() bool

// Never returns. Goroutines are preempted by signals too, nearly always before they come to a check:
// GODEBUG=asyncpreemptoff=1 leaves the checks alone.
func preempt() {
	// This occupies one processor; the others are left to the server.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	for {
		preemptall()
	}
}
