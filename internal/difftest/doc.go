// Package difftest holds tests that compare this module's output with that of the vendors' own SDKs, and benchmarks that
// put the two side by side.
//
// A difference in the bytes is a failure. Where an SDK does otherwise and we do not follow, that is a quirk: it has a name
// in the files *_quirks_test.go, a test that shows both sides and says who is right, and the generators avoid exactly what
// it names. Requests come from seeded generators; a failure prints the seed and the number of the request.
//
// The SDKs that go.mod asks for are the oldest that serve, because every user of this module pays for them. The tests
// hold with the newest too. BENCHMARKS.md has the figures.
package difftest
