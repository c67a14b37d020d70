package upload_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/cloudsigner/cloudsigner/signer"
	"github.com/cloudsigner/cloudsigner/signer/upload"
)

// The page gets the plan once, and the request for each part when it is about to send it.
func Example() {
	ctx := context.Background()
	u, err := upload.New(upload.Config{
		Signer:   exampleSigner(),
		Protocol: upload.S3,
		Key:      "film.mp4",
		Size:     20_000_000,
		Header:   http.Header{"Content-Type": {"video/mp4"}},
		Expires:  15 * time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	plan, err := json.Marshal(u.Plan())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(plan))

	// session, err := start.Do(ctx, nil) asks the store for it; here is one that a store gave earlier.
	session := signer.NewSecret([]byte("VXBsb2FkIElE"))
	for n := 1; n <= u.Plan().Parts; n++ {
		offset, length := u.Plan().Range(n)
		p, err := u.Part(ctx, session, n, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("bytes %d to %d: %v\n", offset, offset+length-1, p)
	}
	// Output:
	// {"size":20000000,"partSize":8388608,"parts":3,"sequential":false}
	// bytes 0 to 8388607: PUT https://films.s3.eu-west-1.amazonaws.com/film.mp4?REDACTED until 2026-11-24T12:15:00Z
	// bytes 8388608 to 16777215: PUT https://films.s3.eu-west-1.amazonaws.com/film.mp4?REDACTED until 2026-11-24T12:15:00Z
	// bytes 16777216 to 19999999: PUT https://films.s3.eu-west-1.amazonaws.com/film.mp4?REDACTED until 2026-11-24T12:15:00Z
}

// What a page says it has sent is held to the plan.
func ExampleUpload_Complete() {
	u, err := upload.New(upload.Config{Signer: exampleSigner(), Protocol: upload.S3, Key: "film.mp4", Size: 20_000_000, Expires: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	_, err = u.Complete(context.Background(), signer.NewSecret([]byte("VXBsb2FkIElE")), []upload.Part{
		{Number: 1, Size: 8388608, ETag: `"a54357aff0632cce46d942af68356b38"`},
		{Number: 3, Size: 3222784, ETag: `"acbd18db4cc2f85cedef654fccc4a4d8"`},
	})
	fmt.Println(err)
	// Output:
	// upload: complete: parts: bad request: part 2 is missing, or is stored in another size; send it, or abort the upload
}
