//! See `clients::tonic_client`.

#[tokio::main]
async fn main() -> Result<(), clients::BoxError> {
    println!("{:#?}", clients::tonic_client::run().await?);
    Ok(())
}
