package signertest_test

import (
	"testing"

	"github.com/cloudsigner/cloudsigner/signer/signertest"
)

// The example is right.
func TestExample(t *testing.T) { signertest.Run(t, harness()) }
