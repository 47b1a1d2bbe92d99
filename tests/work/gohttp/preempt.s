// SPDX-License-Identifier: Apache-2.0

//go:build !go1.23

// Nothing: only beside a file like this does the compiler take a function without a body.
