//! See `clients::reqwest_retries`.

#[tokio::main]
async fn main() -> Result<(), clients::BoxError> {
    println!("{:#?}", clients::reqwest_retries::run().await?);
    Ok(())
}
