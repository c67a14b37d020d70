package e2e

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// The first example works against a server that it did not start.
func TestQuickstart(t *testing.T) {
	const root = "../.."
	s := must(versitygw())(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // it has to be compiled
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "run", "./examples/quickstart", "-endpoint", s.endpoint.String(), "-bucket", s.bucket)
	cmd.Dir, cmd.WaitDelay = root, 5*time.Second
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey, "AWS_SESSION_TOKEN=", "AWS_REGION="+region)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Logf("%s", output)
}
