// Package e2e holds the library to what others wrote: servers (S3's kind and Azurite) that take its signatures or refuse them,
// and SDKs whose signatures its verifiers take or refuse. It has tests only, in a module of its own, so that servers and SDKs
// weigh on nobody. Everything listens on 127.0.0.1, and nothing else is contacted but npm, once, which installs what the lock
// files name.
package e2e
