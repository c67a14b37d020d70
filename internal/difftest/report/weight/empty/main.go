// Empty is what a program with an HTTP client weighs before it signs anything.
package main

import (
	"fmt"
	"net/http"
)

func main() { fmt.Println(http.DefaultClient.Timeout) }
