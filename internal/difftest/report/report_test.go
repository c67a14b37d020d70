package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	all := make(results)
	for _, text := range []string{
		"goos: linux\nBenchmarkFloorS3/get-2   \t  1000\t       100.5 ns/op\t     384 B/op\t       1 allocs/op\nPASS\n",
		"BenchmarkFloorS3/get-2 1000 200 ns/op 384 B/op 1 allocs/op\nBenchmarkGrowthCredentials/s3/10-2 7 2381 ns/op 9888 held-B 546 B/op 2 allocs/op\n",
		"BenchmarkFloorS3/get-2 1000 101.5 ns/op 384 B/op 3 allocs/op\n",
	} {
		require.NoError(t, all.parse(strings.NewReader(text)))
	}
	assert.Equal(t, results{
		"FloorS3/get":             {{100.5, 1, 0}, {200, 1, 0}, {101.5, 3, 0}},
		"GrowthCredentials/s3/10": {{2381, 2, 9888}},
	}, all)
	assert.Equal(t, 101.5, all.ns("FloorS3/get"))
	assert.Equal(t, 1, all.allocs("FloorS3/get"))
	assert.Error(t, all.parse(strings.NewReader("BenchmarkX-2 1000 fast ns/op\n")))
}

// Ratios are those of one round each: here ours is twice the floor in every round, however slow that was.
func TestRatio(t *testing.T) {
	all := results{"a": {{ns: 200}, {ns: 2000}, {ns: 400}}, "b": {{ns: 100}, {ns: 1000}, {ns: 200}}}
	low, mid, high := all.ratio("a", "b")
	assert.Equal(t, [3]float64{2, 2, 2}, [3]float64{low, mid, high})
	assert.Equal(t, "2.00 (2.00 to 2.00)", all.against("a", "b", 2))
	assert.Equal(t, "**2.00** (2.00 to 2.00)", all.against("a", "b", 1.9))
}

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.md")
	const begin, end = "<!-- what follows is written by go run ./internal/difftest/report -->\n", "<!-- what follows is written by hand -->\n"
	require.NoError(t, os.WriteFile(path, []byte("before\n"+begin+"old\n"+end+"after\n"), 0o600))
	require.NoError(t, replace(path, []byte("new\n")))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "before\n"+begin+"new\n"+end+"after\n", string(text))
	require.NoError(t, os.WriteFile(path, []byte("before\n"), 0o600))
	assert.ErrorContains(t, replace(path, []byte("new\n")), "lacks the lines")
}

// TestTableNamesBenchmarks: what a table shows is measured.
func TestTableNamesBenchmarks(t *testing.T) {
	text, err := os.ReadFile("../allocs.txt")
	require.NoError(t, err)
	known := func(name string) bool { return strings.Contains(string(text), "\n"+name+" ") }
	for _, j := range jobs() {
		assert.True(t, known(j.presign), j.presign)
		assert.True(t, j.appended == "" || known(j.appended), j.appended)
	}
	for _, o := range others() {
		assert.True(t, known(o.ours) || strings.HasPrefix(o.ours, "GrowthCredentials/"), o.ours)
	}
}
