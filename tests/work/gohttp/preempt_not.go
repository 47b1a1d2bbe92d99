// SPDX-License-Identifier: Apache-2.0

//go:build go1.23

package main

import "log"

func preempt() {
	log.Fatal("-preempt needs Go 1.22 or older")
}
