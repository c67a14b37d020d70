// Azblobsas makes a SAS with Microsoft's SDK.
package main

import (
	"fmt"
	"log"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
)

func main() {
	key, err := azblob.NewSharedKeyCredential("account", "a2V5")
	if err != nil {
		log.Fatal(err)
	}
	q, err := sas.BlobSignatureValues{ContainerName: "container", BlobName: "blob", Permissions: "r", ExpiryTime: time.Now().Add(time.Hour)}.SignWithSharedKey(key)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(q.Encode()))
}
